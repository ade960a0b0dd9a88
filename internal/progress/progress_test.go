package progress

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// onTerminal returns everything that draw writes to a terminal 100 columns wide.
func onTerminal(t *testing.T, draw func(terminal *os.File)) string {
	t.Helper()
	screen, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	defer screen.Close()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&seen, screen) // ends with EIO when the terminal closes
	}()
	draw(terminal)
	terminal.Close()
	<-read
	return seen.String()
}

func upload(file *os.File) {
	bar := Start(file, "uploading keys", 4_000_000, Bytes)
	var pieces sync.WaitGroup
	for range 4 {
		pieces.Go(func() { bar.Add(1_000_000) })
	}
	pieces.Wait()
	bar.Done()
	bar.Done()
}

func TestTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	seen := onTerminal(t, upload)
	if want := "\ruploading keys   0% ────"; !strings.HasPrefix(seen, want) {
		t.Errorf("%q not shown at once in %q", want, seen)
	}
	if want := "B/4.0 MB"; !strings.Contains(seen, want) {
		t.Errorf("%q not shown in %q", want, seen)
	}
	if lines := strings.Split(seen, "\r"); strings.TrimSpace(lines[len(lines)-2]) != "" || lines[len(lines)-1] != "" {
		t.Errorf("the bar was left standing: %q", seen)
	}
	if strings.Contains(seen, "\n") {
		t.Errorf("the bar took more than its line: %q", seen)
	}
}

// countAndRate is of one row of two, in a second or, on a machine that stalls, in more.
var countAndRate = regexp.MustCompile(`\(1/2, \d+ rows/(s|min|hr)\)`)

func TestUnits(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	for noColor, coloured := range map[string]bool{"": true, "1": false} {
		t.Setenv("NO_COLOR", noColor)
		seen := onTerminal(t, func(terminal *os.File) {
			bar := Start(terminal, "samples", 2, "rows")
			if _, err := io.Copy(bar, strings.NewReader("x")); err != nil {
				t.Error(err)
			}
			time.Sleep(100 * time.Millisecond) // longer than the throttle
			bar.bar.Describe("half way")
		})
		if !strings.Contains(seen, "half way  50%") || !countAndRate.MatchString(seen) {
			t.Errorf("NO_COLOR=%q: share, count or unit missing: %q", noColor, seen)
		}
		if got := strings.Contains(seen, "\x1b["); got != coloured {
			t.Errorf("NO_COLOR=%q: coloured %v: %q", noColor, got, seen)
		}
	}
}

func TestQuiet(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	path := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	upload(file)
	file.Close()
	if written, err := os.ReadFile(path); err != nil || len(written) != 0 {
		t.Errorf("wrote %q to a file (%v)", written, err)
	}

	t.Setenv("TERM", "dumb")
	if seen := onTerminal(t, upload); seen != "" {
		t.Errorf("wrote %q to a dumb terminal", seen)
	}
	t.Setenv("TERM", "xterm-256color")
	nothing := func(terminal *os.File) { Start(terminal, "nothing", 0, Bytes).Done() }
	if seen := onTerminal(t, nothing); seen != "" {
		t.Errorf("wrote %q for no work", seen)
	}
}
