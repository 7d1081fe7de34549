# Sourced by the scripts beside it: what a VM is here. Not for the real host, where libvirt says it.
#
# A VM of this example is the agent out of the disk, run on a loopback address of its own: 127.0.9.N. Its
# folder $VMS/127.0.9.N holds the unpacked disk and the process id.

VMS="${POLYDEV_ROOT:-/opt}/polydev-ai/vms"
mkdir -p "$VMS"

# address_of_new: claims the first free address by making its folder.
address_of_new() {
    local number
    for number in $(seq 2 254); do
        if mkdir "$VMS/127.0.9.$number" 2>/dev/null; then
            echo "127.0.9.$number"
            return
        fi
    done
    echo "no address is left under $VMS" >&2
    return 1
}

# boot ADDRESS DISK: unpacks the disk and starts the agent in it.
boot() {
    local vm=$VMS/$1
    rm -rf "$vm/root"
    mkdir -p "$vm/root"
    qemu-img convert -q -O raw "$2" "$vm/disk.raw"
    debugfs -R "rdump / $vm/root" "$vm/disk.raw" >/dev/null 2>&1
    rm "$vm/disk.raw"
    (
        cd "$vm/root/opt/vm-agent"
        ADDRESS=$1 PORT=3000 setsid node agent.js </dev/null >"$vm/log" 2>&1 &
        echo $! >"$vm/pid"
    )
}

# halt ADDRESS: ends the VM, if it runs, and waits until it is gone.
halt() {
    local vm=$VMS/$1 pid
    [ -f "$vm/pid" ] || return 0
    pid=$(cat "$vm/pid")
    kill "$pid" 2>/dev/null || true
    timeout 10 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
    rm -f "$vm/pid"
}
