#!/usr/bin/env bash
# A Slurm cluster of one node on loopback, as root, without systemd. Usage: up.sh DIR CONTROLLER_PORT NODE_PORT
# Needs Debian's slurmctld slurmd slurm-client munge. Leaves DIR/slurm.conf, which SLURM_CONF is to name.
set -euo pipefail
D=$(realpath -m "$1"); HOST=$(hostname -s)
MEMORY=$(awk '/MemTotal/{print int($2/1024)-512}' /proc/meminfo)
mkdir -p "$D"/{state,spool,log,run}
chmod 755 "$D"
install -d -o munge -g munge -m 0755 "$D/munge"
install -d -o munge -g munge -m 0700 "$D/munge/log"
dd if=/dev/urandom of="$D/munge/munge.key" bs=1024 count=1 status=none
chown munge:munge "$D/munge/munge.key"
chmod 400 "$D/munge/munge.key"
# Eight processors whatever there are, so that several jobs run at once. A requeued job waits for cred_expire and then
# for the next sched_interval (60 s unless set).
cat > "$D/slurm.conf" <<C
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$2
SlurmdPort=$3
AuthType=auth/munge
AuthInfo=socket=$D/munge/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobRequeue=1
KillWait=10
MinJobAge=300
OverTimeLimit=0
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=8 RealMemory=$MEMORY State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES MaxTime=INFINITE State=UP
C
echo "CgroupAutomount=no" > "$D/cgroup.conf"
export SLURM_CONF="$D/slurm.conf"
runuser -u munge -- /usr/sbin/munged --socket="$D/munge/munge.sock" --pid-file="$D/munge/munged.pid" \
  --log-file="$D/munge/log/munged.log" --seed-file="$D/munge/munged.seed" --key-file="$D/munge/munge.key" --force
/usr/sbin/slurmctld -c -f "$SLURM_CONF"
/usr/sbin/slurmd -f "$SLURM_CONF"
for _ in $(seq 100); do
  sinfo -h -o %T 2>/dev/null | grep -qE 'idle|mixed|alloc' && exit 0
  sleep 0.2
done
echo "the node did not come up" >&2
tail -5 "$D/log/"*.log >&2
exit 1
