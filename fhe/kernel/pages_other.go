//go:build !linux

package kernel

func adviseHugePages([]uint64) {}
