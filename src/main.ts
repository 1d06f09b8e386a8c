/** Reads the command line and runs a sub-command: nothing else. */
process.stdout.write('sluice\n');
