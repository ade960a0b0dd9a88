package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"cipherpoint/client"
	"cipherpoint/internal/format"
	"cipherpoint/internal/progress"
	"cipherpoint/matching"
)

// enrolledAtOnce is how many templates make a file, which an endpoint keeps up to a size.
const enrolledAtOnce = 1 << 15

// enrol stores the user's templates, encrypted, at the endpoint of a gallery that takes them. They are named by their rows.
func (p *player) enrol(ctx context.Context, file string) error {
	spec := p.model.Spec()
	switch {
	case spec.Dimensions() == 0 && file != "":
		return errors.New("the model takes no templates of its users: leave out --enrol")
	case spec.Dimensions() == 0:
		return nil
	case file == "":
		return errors.New("the model is a gallery of its users: name templates with --enrol")
	}
	set, err := readRows(file, nil)
	if err != nil {
		return err
	}
	p.screen.begin("enrolling", int64(set.Len()), progress.Unit("templates"))
	for first := 0; first < set.Len(); first += enrolledAtOnce {
		last := min(first+enrolledAtOnce, set.Len())
		ids := make([]string, 0, last-first)
		for i := first; i < last; i++ {
			ids = append(ids, strconv.Itoa(i))
		}
		e, err := p.model.Enrol(ctx, p.connection, ids, set.X[first:last])
		if e.UID != "" {
			p.enrolments = append(p.enrolments, e) // to be deleted, also where it was cut off
		}
		if err != nil {
			return fmt.Errorf("enrolling: %w", err)
		}
		p.screen.reach(int64(last))
	}
	p.screen.line("Enrolled %s templates, encrypted", format.Integer(int64(set.Len())))
	return nil
}

func (p *player) infer(ctx context.Context, question []byte) ([]byte, error) {
	if len(p.enrolments) > 0 {
		return p.model.Compare(ctx, p.connection, p.uid, p.enrolments, question)
	}
	return p.connection.Infer(ctx, p.uid, question)
}

// decrypt returns the answer and the names of its values, where these have some.
func (p *player) decrypt(reply []byte) (client.Answer, []string, error) {
	if len(p.enrolments) == 0 {
		a, err := p.model.DeserializeDecryptDequantize(reply)
		return a, p.model.Spec().Pipeline.Classes, err
	}
	scores, ids, err := p.model.DecryptScores(p.enrolments, reply)
	if err != nil {
		return client.Answer{}, nil, err
	}
	best := matching.Best(scores, 1)[0].Template
	return client.Answer{Scores: scores, Values: scores, Label: best, Class: ids[best]}, ids, nil
}

// name is the name of a value, its place where it has none.
func name(names []string, place int) string {
	if place < len(names) {
		return names[place]
	}
	return strconv.Itoa(place)
}
