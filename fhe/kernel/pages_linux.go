package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is what one entry of the processor's address cache covers where the system gives memory in large pages.
const hugePage = 2 << 20

// adviseHugePages asks for large pages, so that streaming through keys and plaintexts does not wait for address
// translation. It is advice about the pages that lie within the buffer, so that neighbours on the heap keep theirs.
func adviseHugePages(buffer []uint64) {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(buffer)))
	start, end := (begin+hugePage-1)&^(hugePage-1), (begin+8*uintptr(len(buffer)))&^(hugePage-1)
	if start < end {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_HUGEPAGE)
	}
}
