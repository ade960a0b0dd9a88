package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const slots = 16384

// StartCluster starts n masters that share the slots evenly.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	firstBus := 0
	for i := range nodes {
		bus := FreePort(t)
		if i == 0 {
			firstBus = bus
		}
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
		client := nodes[i].Client()
		if err := client.ClusterAddSlotsRange(t.Context(), i*slots/n, (i+1)*slots/n-1).Err(); err != nil {
			t.Fatal(err)
		}
		// The port of the bus is named since it is not the usual one, 10000 above.
		if err := client.Do(t.Context(), "CLUSTER", "MEET", "127.0.0.1", nodes[0].Port, firstBus).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		client := node.Client()
		eventually(t, func(ctx context.Context) error {
			info, err := client.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_size:%d", n)) {
				return fmt.Errorf("cluster is not ready: %s", info)
			}
			return nil
		})
	}
	return nodes
}

// StartSentinel starts a sentinel that watches the master under the given name, and decides alone. So that a master which
// hangs on a busy machine is not taken for one that is gone, a test sets down-after-milliseconds before it kills it.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	port := FreePort(t)
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor %s 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds %s 30000\nsentinel failover-timeout %s 2000\n", port, name, master.Port, name, name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, port, config, "--sentinel")
}
