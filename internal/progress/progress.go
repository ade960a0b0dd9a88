// Package progress shows how far long work has come: keys sent, samples answered, epochs trained.
//
//	bar := progress.Start(os.Stderr, "uploading keys", size, progress.Bytes)
//	defer bar.Done()
//	...
//	bar.Add(int64(len(piece)))
//
// A bar is drawn only on a terminal; to a file, a pipe or a terminal that cannot move its cursor (TERM=dumb) nothing is
// written, so that output can be kept and compared. Done wipes the bar: the caller prints the result in its place.
// The bar is plain where NO_COLOR is set (no-color.org).
//
// Write nothing else to the same terminal between Start and Done, or the lines will mix.
package progress

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Unit says what a bar counts.
type Unit string

// Bytes are shown in kB, MB, GB with their rate; every other unit, such as Unit("samples"), by its number and name.
const Bytes Unit = "B"

// Bar is safe for concurrent use. The nil Bar does nothing.
type Bar struct {
	bar *progressbar.ProgressBar
}

// besideBar is the room that percentage, counts, rate and times take in a line.
const besideBar = 48

// Start draws an empty bar on file if file is a terminal. total is the amount of work in units; work without end or
// amount (total ≤ 0) has no bar.
func Start(file *os.File, label string, total int64, unit Unit) *Bar {
	if total <= 0 || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil || columns == 0 {
		columns = 80
	}
	colour := os.Getenv("NO_COLOR") == ""
	options := []progressbar.Option{
		progressbar.OptionSetWriter(file),
		progressbar.OptionEnableColorCodes(colour),
		progressbar.OptionSetTheme(theme(colour)),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetWidth(max(4, min(32, columns-len(label)-besideBar))),
		progressbar.OptionShowCount(),
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionThrottle(65 * time.Millisecond),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(),
	}
	if unit == Bytes {
		options = append(options, progressbar.OptionShowBytes(true))
	} else {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString(string(unit)))
	}
	return &Bar{progressbar.NewOptions64(total, options...)}
}

func theme(colour bool) progressbar.Theme {
	theme := progressbar.Theme{Saucer: "━", SaucerPadding: "─"}
	if colour {
		theme.Saucer = "[cyan]━[reset]"
	}
	return theme
}

// Add says that n more units are done. What exceeds the total is not shown.
func (b *Bar) Add(n int64) {
	if b != nil {
		_ = b.bar.Add64(n) // a bar that cannot be drawn must not stop the work
	}
}

// Write counts the bytes that pass, as one end of an io.TeeReader or io.MultiWriter.
func (b *Bar) Write(p []byte) (int, error) {
	b.Add(int64(len(p)))
	return len(p), nil
}

// Done wipes the bar, also when the work was broken off. Calling it again is harmless.
func (b *Bar) Done() {
	if b != nil {
		_ = b.bar.Finish()
	}
}
