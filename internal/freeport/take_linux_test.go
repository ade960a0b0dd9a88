package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestTake(t *testing.T) {
	port, release, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 3 { // a server that is started again
		server, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := take(port); err == nil {
			t.Error("the port of a server is free")
		}
		client, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		one, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		one.Close() // what is left of the connection stays with this side
		client.Close()
		server.Close()
		if _, err := take(port); err == nil {
			t.Error("the port of a server that is stopped is free")
		}
	}
	release()
	port, release, err = Take()
	if err != nil {
		t.Fatal(err)
	}
	release()
	again, err := take(port)
	if err != nil {
		t.Fatalf("a port that was released: %v", err)
	}
	again()
}
