# Makes a machine out of this one: the same files, but what is written to them is gone with it. Its processes, mounts and users are its own, the
# network is not. $1 is an empty directory; what follows is its first process.
set -e
exec 2>&1
# The process as those outside see it: /proc is still theirs.
read -r pid _ < /proc/self/stat
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/written" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/written,workdir=$1/work" none "$1/root"
cd "$1/root"
shift
mount -t proc none proc
mount --rbind /dev dev
mount --bind /dev/null dev/console
mount -t sysfs none sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs none run
mount -t tmpfs none tmp
mkdir run/units
for target in basic final multi-user network-online shutdown sockets sysinit umount; do
  printf '[Unit]\nDefaultDependencies=no\n' > "run/units/$target.target"
done
echo "$pid"
export SYSTEMD_UNIT_PATH=/run/units SYSTEMD_LOG_TARGET=null container=other
exec chroot . "$@"
