package circuit

import (
	"fmt"
	"math"
	"strings"
)

// Operation names the operation of a node.
func (node *Node) Operation() string {
	switch {
	case node.Linear != nil:
		return "linear"
	case node.Fold != nil:
		return "fold"
	case node.Dot != nil:
		return "dot"
	case node.Combine != nil:
		return "combine"
	case node.Mix != nil:
		return "mix"
	case node.Match != nil:
		return "match"
	case node.Multiply != nil && len(node.In) == 2 && node.In[0] == node.In[1]:
		return "square"
	default:
		return "multiply"
	}
}

// Rotations returns the number of key switches that the node's rotations take.
func (node *Node) Rotations() int {
	switch {
	case node.Linear != nil:
		return len(node.Linear.Babies) + len(node.Linear.Giants)
	case node.Fold != nil:
		return len(node.Fold.Steps)
	}
	return 0
}

// String prints the circuit, a line a value: levels before and after, log2 of the scale, operation, layer.
func (c *Circuit) String() string {
	var b strings.Builder
	p := c.Parameters
	fmt.Fprintf(&b, "%s: N = 2^%d, %s ring, %d %s, log Q = %.1f, log QP = %.1f\n",
		c.Name, p.LogN, p.Ring, p.Slots(), c.Packing, p.LogQ(p.MaxLevel()), p.LogQP())
	for i, in := range c.Inputs {
		fmt.Fprintf(&b, "%%%-3d level %d    scale 2^%-6.2f input %s\n", i, in.Level, math.Log2(in.Scale), in.Name)
	}
	for i, node := range c.Nodes {
		operands := make([]string, len(node.In))
		for k, v := range node.In {
			operands[k] = fmt.Sprintf("%%%d", v)
		}
		fmt.Fprintf(&b, "%%%-3d level %d→%d  scale 2^%-6.2f %s(%s)%s  %s\n", len(c.Inputs)+i, node.Level, node.Level-node.Rescale,
			math.Log2(node.Scale), node.Operation(), strings.Join(operands, ", "), node.details(), node.Name)
	}
	for _, out := range c.Outputs {
		what := fmt.Sprintf("%d sums over slots", out.Period)
		switch {
		case out.Width > 0:
			what = fmt.Sprintf("%d values of each sample", out.Width)
		case out.Coefficients != nil:
			what = fmt.Sprintf("%d coefficients", len(out.Coefficients))
		}
		fmt.Fprintf(&b, "output %s: %%%d, %s, modulo 2^%d\n", out.Name, out.Value, what, out.ModulusBits)
	}
	if r := c.RingSwitch; r != nil {
		fmt.Fprintf(&b, "replies switched to N = 2^%d in %d digits, log QP = %.1f\n", r.LogN, r.Digits, r.LogQP(p))
	}
	keys := c.Keys()
	fmt.Fprintf(&b, "keys: %d", keys.Count())
	if keys.Relinearisation >= 0 {
		fmt.Fprintf(&b, ", relinearisation at level %d", keys.Relinearisation)
	}
	for _, r := range keys.Rotations {
		fmt.Fprintf(&b, ", %d@%d", r.Step, r.Level)
	}
	if keys.RingSwitch != nil {
		b.WriteString(", to the ring of replies")
	}
	b.WriteByte('\n')
	return b.String()
}

func (node *Node) details() string {
	switch {
	case node.Linear != nil:
		return fmt.Sprintf(" %d diagonals, %d baby and %d giant rotations",
			len(node.Linear.Diagonals), len(node.Linear.Babies), len(node.Linear.Giants))
	case node.Fold != nil:
		return fmt.Sprintf(" by %v", node.Fold.Steps)
	case node.Mix != nil:
		weights := 0
		for _, m := range node.Mix.Maps {
			weights += len(m.Values)
		}
		return fmt.Sprintf(" %d weights to %d rows", weights, node.Mix.Rows)
	case node.Combine != nil:
		return fmt.Sprintf(" factors %.4g constant %.4g", node.Combine.Factors, node.Combine.Constant)
	}
	return ""
}
