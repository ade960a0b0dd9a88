package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"cipherpoint/bench/primitive"
	"cipherpoint/circuit"
	"cipherpoint/compiler"
)

func TestFitCostsFindsThem(t *testing.T) {
	want := compiler.Costs{Forward: 0.1, Inverse: 0.2, Conversion: 0.3, Key: 0.4, Diagonal: 0.5, Run: 0.6, Move: 0.7}
	list, err := costCircuits()
	if err != nil {
		t.Fatal(err)
	}
	var nodes []nodeFigures
	for _, c := range list {
		k := nodeFigures{circuit: c.Name, logN: c.Parameters.LogN}
		circuit.NewPlan(c).Work(c, func(node int, w circuit.Work) {
			if node == 0 {
				k.work = w
			}
		})
		k.measured = want.Of(k.work, k.logN) * math.Exp2(float64(k.logN)) / 1e6
		nodes = append(nodes, k)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	got := fitCosts(nodes)
	for i, pair := range [][2]float64{{got.Forward, want.Forward}, {got.Inverse, want.Inverse}, {got.Conversion, want.Conversion}, {got.Key, want.Key},
		{got.Diagonal, want.Diagonal}, {got.Run, want.Run}, {got.Move, want.Move}} {
		if math.Abs(pair[0]/pair[1]-1) > 0.05 {
			t.Errorf("cost %d is %.3f, fitted %.3f", i, pair[1], pair[0])
		}
	}
}

func TestMeasureNodes(t *testing.T) {
	list, err := costCircuits()
	if err != nil {
		t.Fatal(err)
	}
	single, err := primitive.NewAlone(t.Context(), "one", list[3], nil)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := measureNodes(t.Context(), single, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 2 || nodes[0].measured <= 0 || nodes[0].estimated <= 0 {
		t.Fatalf("%+v", nodes)
	}
	var b strings.Builder
	if err := writeCosts(&b, nodes); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"linear, 3 babies, 3 giants, 16 diagonals that repeat, rescaled", "one      ", "all", "fits here"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
