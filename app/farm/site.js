/**
 * Serves the files of `static/` if the application runs alone. Otherwise the server in front serves the folder. Called
 * by `farm.js`; the few files are read once and kept.
 */
import { readFileSync } from 'node:fs'

const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/index.html', 'index.html', 'text/html; charset=utf-8'],
  ['/style.css', 'style.css', 'text/css; charset=utf-8'],
  ['/app.js', 'app.js', 'text/javascript; charset=utf-8'],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
]

/** `[path, listener]` for each file of the site. */
export function siteFiles() {
  return FILES.map(([path, name, type]) => [
    path,
    sendFile(readFileSync(new URL(`static/${name}`, import.meta.url)), type),
  ])
}

function sendFile(bytes, type) {
  const headers = { 'content-type': type, 'content-length': String(bytes.length), 'cache-control': 'no-cache' }
  return (_request, response) => {
    response.writeHead(200, headers)
    response.end(bytes)
  }
}
