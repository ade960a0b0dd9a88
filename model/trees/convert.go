package trees

import "cipherpoint/model"

// Model returns the ensemble as an operator of the float graph: features to scores.
func (e *Ensemble) Model() *model.TreeEnsemble {
	m := &model.TreeEnsemble{
		Features:   e.Features,
		Comparison: model.Less,
		Aggregate:  model.AggregateSum,
		Base:       append([]float64(nil), e.Base...),
	}
	for i := range e.Trees {
		nodes := e.Trees[i].Nodes
		// A reference counts splits up from 0 and leaves down from -1, over all trees.
		references := make([]int, len(nodes))
		splits, leaves := len(m.Feature), len(m.Values)
		for j, n := range nodes {
			if n.Values != nil {
				references[j] = ^leaves
				leaves++
			} else {
				references[j] = splits
				splits++
			}
		}
		m.Roots = append(m.Roots, references[0])
		for _, n := range nodes {
			if n.Values != nil {
				m.Values = append(m.Values, append([]float64(nil), n.Values...))
				continue
			}
			m.Feature = append(m.Feature, n.Feature)
			m.Threshold = append(m.Threshold, n.Threshold)
			m.MissingLeft = append(m.MissingLeft, true)
			m.Left = append(m.Left, references[n.Left])
			m.Right = append(m.Right, references[n.Right])
		}
	}
	return m
}

// Graph returns the whole model: features to the probability of class 1, to the probabilities of all classes if there
// are more than two, or to the value. The thresholds are edges of the grid that the ensemble was trained on: compile the
// graph with that grid, so that a client's thermometer does not tell which of them occur.
func (e *Ensemble) Graph(name string) (*model.Graph, error) {
	b := model.New(name, model.Shape{e.Features}).TreeEnsemble(e.Model())
	if e.Meaning == LogOdds {
		if len(e.Base) == 1 {
			b.Sigmoid()
		} else {
			b.Softmax()
		}
	}
	return b.Graph()
}
