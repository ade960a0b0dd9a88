// Package freeport finds TCP ports for servers that tests and benchmarks start in processes of their own, stop, and start
// again at the same port.
package freeport

import (
	"errors"
	"math/rand/v2"
)

// Take returns a port of 127.0.0.1 that nobody else uses, and keeps it until release is called: servers may listen on it
// meanwhile, one after the other, but Take gives it to nobody else on this machine. It lies below the ports that systems
// give to outgoing connections: one of those could take the port while its server is stopped.
func Take() (port int, release func(), err error) {
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if release, err := take(port); err == nil {
			return port, release, nil
		}
	}
	return 0, nil, errors.New("no free port was found")
}
