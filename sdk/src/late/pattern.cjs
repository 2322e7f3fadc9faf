module.exports = require("urlpattern-polyfill/urlpattern");
