package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"cipherpoint/internal/progress"
)

// screen prints lines while a bar may stand below them: the bar is wiped before a line and drawn again after it.
type screen struct {
	lines    io.Writer
	notes    io.Writer
	terminal *os.File // of the bar; nil for none

	lock        sync.Mutex
	label       string
	unit        progress.Unit
	total, done int64
	bar         *progress.Bar
}

// begin draws an empty bar in place of any other.
func (s *screen) begin(label string, total int64, unit progress.Unit) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.bar.Done()
	s.label, s.total, s.unit, s.done = label, total, unit, 0
	s.draw()
}

func (s *screen) draw() {
	if s.terminal != nil {
		s.bar = progress.Start(s.terminal, s.label, s.total, s.unit)
		s.bar.Add(s.done)
	}
}

// reach moves the bar to an amount.
func (s *screen) reach(done int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.bar.Add(done - s.done)
	s.done = done
}

// end wipes the bar.
func (s *screen) end() { s.begin("", 0, "") }

func (s *screen) line(format string, args ...any) { s.print(s.lines, format, args...) }

// note prints what is no result.
func (s *screen) note(format string, args ...any) { s.print(s.notes, format, args...) }

func (s *screen) print(w io.Writer, format string, args ...any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.bar.Done()
	fmt.Fprintf(w, format+"\n", args...)
	s.draw()
}
