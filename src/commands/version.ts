/** The version of this build, from package.json: there is no second place to forget. */
import packageJson from '../../package.json' with { type: 'json' };

export const version: string = packageJson.version;
