package progress

import (
	"os"
	"sync"
)

// StepBar shows work of several steps, one bar after the other.
type StepBar struct {
	file *os.File
	lock sync.Mutex
	name string
	bar  *Bar
	done int
}

// Steps returns a StepBar on the file.
func Steps(file *os.File) *StepBar { return &StepBar{file: file} }

// Step says that so much of a step is done; of is 0 for a step without an amount, which has no bar.
func (s *StepBar) Step(name string, done, of int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if name != s.name {
		s.bar.Done()
		s.name, s.done = name, 0
		s.bar = Start(s.file, name, int64(of), "")
	}
	s.bar.Add(int64(done - s.done))
	s.done = done
}

// Done wipes the last bar.
func (s *StepBar) Done() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.bar.Done()
	s.bar = nil
}
