package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"cipherpoint/bench/primitive"
	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/internal/format"
)

// replyFigures are what it costs and saves to switch a circuit's replies to a smaller ring.
type replyFigures struct {
	switched, plain *circuit.Circuit
	times           comparison // of whole runs: ours switches, the other side doesn't
}

// measureReplies runs a circuit whose replies are switched beside the same one without that, on one core; nil where they are
// not switched.
func measureReplies(ctx context.Context, c *primitive.Circuit, budget time.Duration) (*replyFigures, error) {
	f := &replyFigures{switched: c.Program.Circuit()}
	if f.switched.RingSwitch == nil {
		return nil, nil
	}
	plain := *f.switched
	plain.RingSwitch = nil
	f.plain = &plain
	other, err := primitive.NewCircuit(ctx, c.Name, f.plain, nil, 1)
	if err != nil {
		return nil, err
	}
	err = onOneCore(func() (err error) {
		f.times, err = compare(primitive.Operation{Name: c.Name, Ours: c.Reply(ctx), Lattigo: other.Reply(ctx)}, budget)
		return err
	})
	return f, err
}

// writeReplies prints what switching replies costs and saves.
func writeReplies(t *tabwriter.Writer, list []*circuitFigures) {
	fmt.Fprintf(t, "\nReplies in a ring of lower degree, beside the same circuit with replies in its own; times of whole runs on one core, in turns.\n\n")
	fmt.Fprintln(t, "circuit\treplies in\tdigits\tlog QP of the key\tkeys\tall in one ring\treply\tall in one ring\tms\tall in one ring\tratio\t")
	for _, f := range list {
		r := f.replies
		if r == nil {
			fmt.Fprintf(t, "%s\tits own\t\t\t\t\t\t\t\t\t\t\n", f.name)
			continue
		}
		by := r.switched.RingSwitch
		fmt.Fprintf(t, "%s\t2^%d\t%d\t%.1f\t%s\t%s\t%s\t%s\t%.2f\t%.2f\t%.3f\t\n", f.name, by.LogN, by.Digits, by.LogQP(r.switched.Parameters),
			keyBytes(r.switched), keyBytes(r.plain), replyBytes(r.switched), replyBytes(r.plain), inMS(r.times.Ours), inMS(r.times.Lattigo), 1/r.times.Ratio)
	}
}

func keyBytes(c *circuit.Circuit) string {
	return format.Bytes(float64(fhe.KeysSize(c.Parameters, c.Keys())))
}

func replyBytes(c *circuit.Circuit) string {
	return format.Bytes(float64(fhe.SignatureOf(c).ReplySize()))
}
