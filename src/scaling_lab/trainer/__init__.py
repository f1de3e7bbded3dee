"""Start-up paid once: `scaling-lab train` asks a small forking server that has imported Lightning to train the run.

- `identity`: what names a server, which is everything that a run takes over from it and not from its own command
- `address`: where it listens
- `protocol`: the messages between the two, over a Unix socket
- `client`: the thin command, which finds or starts the server, forwards signals and ends as the run ended
- `server`: accepts, forks, reaps, leaves when idle
- `child`: after the fork becomes the client's process in all but its id, and calls `training.job`
"""
