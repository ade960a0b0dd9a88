package dataset

import (
	"fmt"
	"strings"
	"testing"
)

func TestLibSVM(t *testing.T) {
	rows, err := LibSVM(strings.NewReader("1 0:2.5 2:-1 9:4\n\n0\n"), 3, 7)
	if err != nil || fmt.Sprint(rows) != "[[2.5 7 -1] [7 7 7]]" {
		t.Errorf("%v, %v", rows, err)
	}
	for _, bad := range []string{"1 a:2", "1 0:x", "1 -1:2", "1 0"} {
		if _, err := LibSVM(strings.NewReader(bad), 3, 0); err == nil || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
