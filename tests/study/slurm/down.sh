#!/usr/bin/env bash
# End what up.sh started in DIR, and every job with it. Usage: down.sh DIR
D=$(realpath -m "$1")
export SLURM_CONF=$D/slurm.conf
scancel --full --user=root 2>/dev/null
sleep 1
for pid in "$D/run/slurmd.pid" "$D/run/slurmctld.pid" "$D/munge/munged.pid"; do
  [ -f "$pid" ] || continue
  number=$(cat "$pid")
  kill "$number"
  for _ in $(seq 50); do kill -0 "$number" 2>/dev/null && sleep 0.1; done
  kill -9 "$number" 2>/dev/null  # slurmd waits for the ends of jobs that may never be told
done
exit 0
