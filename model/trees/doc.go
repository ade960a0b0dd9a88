// Package trees trains decision trees, random forests and gradient boosted trees that are cheap to evaluate on encrypted
// data, on a public grid of thresholds:
//
//	grid, err := trees.NewGrid(set.Ranges, 64)
//	train, test := set.Split(0.15, 42)
//	ensemble, err := trees.Boosting{
//		Growth: trees.Growth{MaxDepth: 2, NewSplit: 0.3}, Rounds: 80, Shrinkage: 0.4, L2: 1, Seed: 1,
//	}.Train(train, grid)
//	fmt.Println(ensemble.Accuracy(test), ensemble.Size())
//	graph, err := ensemble.Graph("spam")
//
// Under encryption a client sends for each feature the bits x >= edge. A leaf is then a polynomial in the number of
// violated conditions on the way to it, so that the depth of the trees sets the levels, and the number of leaves and of
// different splits the work. Growth bounds all three, Ensemble.Size measures them, CrossValidate tells what they cost in
// accuracy.
//
// Training is deterministic: the same set, grid and seed give the same ensemble with any number of processors.
//
// # Dangers
//
// The grid is public. Edges taken from the quantiles of the training data would publish facts about that data to every
// client; take them from documented ranges. Leaf values, too, repeat statistics of the training samples that reach them:
// with MinSamples of 1 a leaf may describe a single person.
package trees
