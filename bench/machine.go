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

// measureBandwidth reads an array of more than four times the last cache.
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

// sum adds up words that it reads from four places at once: that keeps more of the processor's prefetchers busy than
// reading from one, which gets about half as much.
func sum(words []uint64) uint64 {
	quarter := len(words) / 32 * 8
	a, b, c, d, rest := words[:quarter], words[quarter:2*quarter], words[2*quarter:3*quarter], words[3*quarter:4*quarter], words[4*quarter:]
	var s, t, u, v uint64 // independent sums, so that none waits for itself
	for len(a) >= 8 && len(b) >= 8 && len(c) >= 8 && len(d) >= 8 {
		w, x, y, z := (*[8]uint64)(a), (*[8]uint64)(b), (*[8]uint64)(c), (*[8]uint64)(d)
		s += w[0] + w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7]
		t += x[0] + x[1] + x[2] + x[3] + x[4] + x[5] + x[6] + x[7]
		u += y[0] + y[1] + y[2] + y[3] + y[4] + y[5] + y[6] + y[7]
		v += z[0] + z[1] + z[2] + z[3] + z[4] + z[5] + z[6] + z[7]
		a, b, c, d = a[8:], b[8:], c[8:], d[8:]
	}
	for _, w := range rest {
		s += w
	}
	return s + t + u + v
}
