//go:build !linux

package freeport

import (
	"net"
	"strconv"
)

// take only looks whether the port is free now: other systems let no server listen on a port that is held.
func take(port int) (release func(), err error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	return func() {}, listener.Close()
}
