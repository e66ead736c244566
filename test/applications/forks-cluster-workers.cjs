// Serves by a worker of its own that it forks, as many applications do for themselves.
const cluster = require('node:cluster')

if (cluster.isPrimary) cluster.fork()
else
  require('node:http')
    .createServer((_request, response) => response.end())
    .listen(0, '127.0.0.1')
