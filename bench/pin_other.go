//go:build !linux

package main

import "runtime"

// pin keeps the calling goroutine on one thread: which core that runs on is the system's choice here.
func pin() (unpin func(), err error) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread, nil
}
