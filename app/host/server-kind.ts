/**
 * Which kind of server an application listens with. By what a server has, not by its class: to load node:https and node:http2 would cost each start
 * several milliseconds. Used by `take-over.ts`. Pure.
 */

import { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'

/** `https` has the request listeners of an HTTP/1.1 server: also an HTTP/2 one that allows HTTP/1.1. */
export type ServerKind = 'http' | 'https' | 'http2' | 'tls' | 'tcp'

/** As in Node 20 to 26: a TLS server can be given other certificates; one of node:http2 takes settings; one of HTTP/1.1 has time limits for heads. */
export function kindOf(server: Server): ServerKind {
  if (server instanceof HttpServer) return 'http'
  const isTls = 'setSecureContext' in server
  if (isTls && 'headersTimeout' in server) return 'https'
  if ('updateSettings' in server) return 'http2'
  return isTls ? 'tls' : 'tcp'
}

/** For the log. */
export const KIND_NAMES: Record<ServerKind, string> = {
  http: 'HTTP',
  https: 'HTTPS',
  http2: 'HTTP/2 without HTTP/1.1',
  tls: 'TLS',
  tcp: 'TCP',
}
