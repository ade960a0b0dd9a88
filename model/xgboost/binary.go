package xgboost

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The binary form, which versions up to 3.0 know, is the memory of C structures, little-endian: what all learners have, the names
// of objective and booster, and the booster's own. Its fields are those of the structures
// LearnerModelParamLegacy, GBTreeModelParam, TreeParam, RegTree::Node and GBLinearModelParam in XGBoost 0.9.
const (
	binaryMagic = "binf"

	learnerBytes, forestBytes, treeBytes, nodeBytes, statisticsBytes, linearBytes = 136, 160, 148, 20, 16, 136
)

type learnerParam struct {
	Base              float32
	Features          uint32
	Classes           int32
	Attributes, Evals int32
	Major, Minor      uint32 // since version 1.0
	Targets           uint32 // since version 1.6
	_                 [26]uint32
}

type forestParam struct {
	Trees, Roots, Features int32
	_                      int32 // padding
	_                      int64
	Groups, LeafSize       int32
	_                      [32]int32
}

type treeParam struct {
	Roots, Nodes, Deleted, _, Features, LeafSize int32
	_                                            [31]int32
}

type binaryNode struct {
	Parent, Left, Right int32
	Split               uint32 // feature, and in the highest bit whether missing values go left
	Value               float32
}

// isBinary holds for files that start as the binary form does: numbers in range and the name of an objective.
func isBinary(data []byte) bool {
	data = bytes.TrimPrefix(data, []byte(binaryMagic))
	if len(data) < learnerBytes+8 {
		return false
	}
	n := binary.LittleEndian.Uint64(data[learnerBytes:])
	if n == 0 || n > 40 || int(n) > len(data)-learnerBytes-8 {
		return false
	}
	for _, c := range data[learnerBytes+8:][:n] {
		if c != ':' && c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// scanner reads structures one after the other and stops at the first that is not whole.
type scanner struct {
	rest []byte
	err  error
}

func (s *scanner) bytes(n int) []byte {
	if s.err != nil || n < 0 || n > len(s.rest) {
		s.err = errShort
		return nil
	}
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	return taken
}

func (s *scanner) read(into any) {
	if b := s.bytes(binary.Size(into)); s.err == nil {
		_, s.err = binary.Decode(b, binary.LittleEndian, into)
	}
}

// count reads the length of what takes a number of bytes each.
func (s *scanner) count(size int) int {
	var n uint64
	s.read(&n)
	if s.err == nil && n > uint64(len(s.rest)/size) {
		s.err = errShort
	}
	if s.err != nil {
		return 0
	}
	return int(n)
}

func readBinary(data []byte) (*file, error) {
	s := &scanner{rest: bytes.TrimPrefix(data, []byte(binaryMagic))}
	var p learnerParam
	s.read(&p)
	f := &file{baseIsMargin: p.Major < 1}
	if p.Major == 1 {
		f.Version = []integer{1, integer(min(p.Minor, 99))}
	}
	f.Learner.Objective.Name = string(s.bytes(s.count(1)))
	f.Learner.Booster.Name = string(s.bytes(s.count(1)))
	if s.err != nil {
		return nil, s.err
	}
	if p.Features > maxFeatures || p.Targets > maxOutputs {
		return nil, fmt.Errorf("%d features and %d targets", p.Features, p.Targets)
	}
	f.Learner.Param.Base = vector{float64(p.Base)}
	f.Learner.Param.Features, f.Learner.Param.Classes = integer(p.Features), integer(p.Classes)
	f.Learner.Param.Targets = integer(p.Targets)
	b := &f.Learner.Booster
	switch b.Name {
	case "gblinear":
		s.bytes(linearBytes)
		b.Model.Weights = make([]number, s.count(4))
		s.read(b.Model.Weights)
	case "gbtree", "dart":
		m := s.forest()
		if b.Model = m; b.Name == "dart" {
			b.Tree.Model = m
			if len(m.Trees) > 0 {
				b.WeightDrop = make([]number, s.count(4))
				s.read(b.WeightDrop)
			}
		}
	default:
		return nil, fmt.Errorf("booster %q is not known", short(b.Name))
	}
	return f, s.err
}

func (s *scanner) forest() (m gbModel) {
	var p forestParam
	s.read(&p)
	if s.err == nil && (p.Trees < 0 || int(p.Trees) > len(s.rest)/treeBytes) {
		s.err = errors.New("more trees than bytes for them")
	}
	for i := 0; i < int(p.Trees) && s.err == nil; i++ {
		m.Trees = append(m.Trees, s.tree())
	}
	if s.err == nil {
		groups := make([]int32, len(m.Trees))
		s.read(groups)
		for _, g := range groups {
			m.Group = append(m.Group, integer(g))
		}
	}
	return m
}

func (s *scanner) tree() (t tree) {
	var p treeParam
	s.read(&p)
	if s.err == nil && (p.LeafSize > 0 || p.Roots > 1) {
		s.err = errors.New("trees with several roots or vectors in leaves are not served")
	}
	if s.err == nil && (p.Nodes < 0 || int(p.Nodes) > len(s.rest)/nodeBytes) {
		s.err = errors.New("more nodes than bytes for them")
	}
	if s.err != nil {
		return t
	}
	nodes := make([]binaryNode, p.Nodes)
	s.read(nodes)
	s.bytes(statisticsBytes * len(nodes))
	for _, n := range nodes {
		t.Left, t.Right = append(t.Left, integer(n.Left)), append(t.Right, integer(n.Right))
		t.Feature = append(t.Feature, integer(n.Split&math.MaxInt32))
		t.DefaultLeft = append(t.DefaultLeft, integer(n.Split>>31))
		t.Condition = append(t.Condition, number(n.Value))
	}
	return t
}
