import { existsSync } from 'node:fs';

/** Where one is looked for. */
export const chromiumPlaces = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'];

/** Path of an installed Chromium; undefined if there is none: tests in a browser are skipped then, and counted as skipped. */
export const chromiumPath: string | undefined = chromiumPlaces.find((place) => existsSync(place));
