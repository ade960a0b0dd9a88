package trees

import "cipherpoint/model/dataset"

// Trainer makes an ensemble of a set. CART, Forest and Boosting are trainers.
type Trainer interface {
	Train(s *dataset.Set, g Grid) (*Ensemble, error)
}

var (
	_ Trainer = CART{}
	_ Trainer = Forest{}
	_ Trainer = Boosting{}
)

// CrossValidate trains on each of k divisions of the set and returns the mean accuracy (see Ensemble.Accuracy) on the
// samples left out. Choose between trainers by this figure, never by that of the test set.
func CrossValidate(t Trainer, s *dataset.Set, g Grid, k int, seed uint64) (float64, error) {
	var sum float64
	for _, fold := range s.Folds(k, seed) {
		e, err := t.Train(fold.Train, g)
		if err != nil {
			return 0, err
		}
		sum += e.Accuracy(fold.Test)
	}
	return sum / float64(k), nil
}
