/** Not bundled: all that runs in this process is to note in one place. */
export const answers = () => process.getBuiltinModule('node:module').createRequire('/')(process.env.ANSWERS)
