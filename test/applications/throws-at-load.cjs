// Fails while it loads.
'use strict'
function readLicence() {
  throw new TypeError('no licence for rice')
}

readLicence()
