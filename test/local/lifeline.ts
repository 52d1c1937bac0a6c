// Loaded into a child process that would outlive its parent (`node --import`): the end of the channel between them ends the child.
process.on('disconnect', () => process.exit());
