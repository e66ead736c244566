/**
 * Keeps the young generation of the master's heap at the size that it begins with. V8 lets it grow to 32 MB under garbage, and the master makes some with
 * each message of a child; it lives for months and is to stay small. Called by `run-command.ts`, as the flag holds for a whole process.
 */

import { setFlagsFromString } from 'node:v8'

export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
