export default {
  deploy: {
    entry: "src/main.ts",
  },
};
