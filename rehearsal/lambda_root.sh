#!/bin/sh -eu
# lambda_root.sh ROOT OPT TASK RUNTIME LANGUAGE WRITABLE COMMAND...: run a command in a root file system like Lambda's.
# Runs in a user and mount namespace of its own (unshare), so that its mounts end with it and need no rights.
root=$1 opt=$2 task=$3 runtime=$4 language=$5 writable=$6
shift 6

# A remount must name the flags that the folder's own file system has: a namespace may add flags, not remove them.
read_only() { mount -o "remount,bind,$(findmnt -no VFS-OPTIONS -M "$1" | sed 's/^rw/ro/')" "$1"; }

bind() {
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
}

mount -t tmpfs -o mode=755 tmpfs "$root"
for system in bin sbin lib lib32 lib64 usr etc dev proc; do
    if [ -L "/$system" ]; then
        cp -P "/$system" "$root/$system"
    elif [ -d "/$system" ]; then
        mkdir "$root/$system"
        mount --rbind "/$system" "$root/$system"
    fi
done
bind "$opt" /opt
bind "$task" /var/task
bind "$runtime" /var/runtime
bind "$language" /var/lang
for folder in opt var/task var/runtime var/lang usr etc; do
    read_only "$root/$folder"
done
mkdir "$root/tmp"
mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/tmp"
bind "$writable" "$writable"
read_only "$root"

unset PWD OLDPWD
exec unshare --root="$root" --wd=/var/task "$@"
