package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is what one entry of the processor's address cache covers where the system gives memory in large pages.
const hugePage = 2 << 20

// adviseHugePages asks for large pages, so that streaming through keys and plaintexts does not wait for address
// translation. It is advice about whole pages: neighbours on the heap share it.
func adviseHugePages(buffer []uint64) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(buffer)))
	end := start + 8*uintptr(len(buffer))
	start, end = start&^(hugePage-1), (end+hugePage-1)&^(hugePage-1)
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_HUGEPAGE)
}
