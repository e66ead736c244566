export default { preset: 'node-server', compatibilityDate: '2025-09-01', telemetry: false }
