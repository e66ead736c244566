// Ends its own process while it loads.
'use strict'
process.exit(3)
