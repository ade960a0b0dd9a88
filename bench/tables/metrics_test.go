package tables

import (
	"math"
	"testing"
)

func TestMeasure(t *testing.T) {
	rows := []Prediction{{0.1, 0, 0}, {0.4, 0, 0}, {0.35, 0, 1}, {0.8, 1, 1}}
	ties := []Prediction{{1, 0, 0}, {1, 0, 1}, {2, 1, 0}, {2, 1, 1}}
	values := []Prediction{{2.5, 0, 3}, {0, 0, -0.5}, {2, 0, 2}, {8, 0, 7}}
	for _, c := range []struct {
		metric string
		rows   []Prediction
		want   float64
	}{
		{Accuracy, rows, 0.75}, {AUC, rows, 0.75}, {AUC, ties, 0.5}, {R2, values, 1 - 1.5/29.1875}, {RMSE, values, math.Sqrt(0.375)},
	} {
		if got := Measure(c.metric, c.rows); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s is %v, want %v", c.metric, got, c.want)
		}
	}
}

// The noise of an accuracy is known: √(p(1-p)/n).
func TestNoise(t *testing.T) {
	rows := make([]Prediction, 1000)
	for i := range rows {
		rows[i].Truth = float64(i % 5 / 4)
	}
	want := math.Sqrt(0.2 * 0.8 / 1000)
	if got := Noise(Accuracy, rows); got < 0.85*want || got > 1.15*want {
		t.Errorf("noise %v, want about %v", got, want)
	}
}
