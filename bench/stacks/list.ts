/**
 * The stacks that are compared, in the order in which they are printed. nginx is the base of all ratios.
 */

import { bare } from './bare.js'
import { caddy } from './caddy.js'
import { cluster } from './cluster.js'
import { daimyo, daimyoWithTwoProxies } from './daimyo.js'
import { haproxy } from './haproxy.js'
import { httpProxy } from './http-proxy.js'
import { nginx } from './nginx.js'
import type { Stack } from './stack.js'

export const STACKS: readonly Stack[] = [nginx, haproxy, caddy, httpProxy, daimyo, daimyoWithTwoProxies, cluster, bare]

/** The stack that all ratios are relative to. */
export const BASE = nginx.name
