// message-child.ts: process.send(), Node's own way to speak to a child, to compare queues with.
//
// Told how many messages will come, it counts them and says how long they took from the first one.

let left = 0;
let from = 0;

process.on('message', (message: { readonly count: number } | string) => {
  if (typeof message !== 'string') {
    left = message.count;
    from = 0;
    process.send?.('ready');
    return;
  }
  if (from === 0) from = performance.now();
  left--;
  if (left === 0) process.send?.(performance.now() - from);
});
process.on('disconnect', () => process.exit(0));
