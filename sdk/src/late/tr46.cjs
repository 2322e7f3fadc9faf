module.exports = require("tr46");
