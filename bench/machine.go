package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"cipherpoint/creating_models/publish"
	"cipherpoint/fhe/kernel"
)

// describeMachine is the line that figures stand under.
func describeMachine() string {
	cache := "unknown"
	if size := lastCache(); size > 0 {
		cache = fmt.Sprintf("%d MB", size>>20)
	}
	return fmt.Sprintf("%s, %d cores, last cache %s, kernels: %s", publish.CPUName(), runtime.GOMAXPROCS(0), cache, kernel.Features())
}

// lastCache is the size in bytes of the last cache before memory where the system tells it, or 0.
func lastCache() int64 {
	largest := int64(0)
	for index := 0; ; index++ {
		text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu0/cache/index%d/size", index))
		if err != nil {
			return largest
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(text)), "K"), 10, 64)
		if err == nil {
			largest = max(largest, kb<<10)
		}
	}
}

// bandwidth is how many bytes a second are read from memory.
type bandwidth struct {
	oneCore, allCores float64
	read              int64 // bytes a pass
}

// measureBandwidth reads an array of more than four times the last cache from one end to the other.
func measureBandwidth() (bandwidth, error) {
	const atLeast = 256 << 20 // where the cache's size is not known
	size := max(5*lastCache(), atLeast)
	words := make([]uint64, size/8)
	for i := range words { // else all pages are one and the same
		words[i] = uint64(i)
	}
	b := bandwidth{read: size}
	err := onOneCore(func() error {
		b.oneCore = readRate(words, 1)
		return nil
	})
	b.allCores = readRate(words, runtime.GOMAXPROCS(0))
	return b, err
}

// readRate is the best of some passes, since whatever else the machine does can only disturb.
func readRate(words []uint64, workers int) float64 {
	fastest := time.Duration(1 << 62)
	for range 7 {
		sums := make([]uint64, workers)
		start := time.Now()
		var done sync.WaitGroup
		for i := range workers {
			done.Go(func() { sums[i] = sum(words[i*len(words)/workers : (i+1)*len(words)/workers]) })
		}
		done.Wait()
		fastest = min(fastest, time.Since(start))
		runtime.KeepAlive(sums)
	}
	return float64(8*len(words)) / fastest.Seconds()
}

// sum adds up in eight independent chains, so that it waits for memory and not for itself.
func sum(words []uint64) uint64 {
	var a, b, c, d, e, f, g, h uint64
	for ; len(words) >= 8; words = words[8:] {
		w := (*[8]uint64)(words)
		a, b, c, d = a+w[0], b+w[1], c+w[2], d+w[3]
		e, f, g, h = e+w[4], f+w[5], g+w[6], h+w[7]
	}
	total := a + b + c + d + e + f + g + h
	for _, w := range words {
		total += w
	}
	return total
}
