// Package model is the float model: a graph of ONNX-like operators over tensors, its reference execution, its JSON
// form and the lowering of its linear parts to sparse affine maps.
//
// A recipe builds a graph with a Builder, an importer fills the same structs directly:
//
//	b := model.New("cnn", model.Shape{1, 8, 8})
//	b.Conv(kernels, bias, model.Window{Stride: []int{2, 2}})
//	b.Square()
//	b.Flatten()
//	b.Dense(weights, bias)
//	graph, err := b.Graph()
//	scores, err := graph.RunRows(rows)
//
// Tensors are row-major float64 and have no batch dimension: one Run is one sample. An axis is counted from 0 at the
// first dimension that is not the batch, so channels are axis 0 of an image [channels, height, width].
// Broadcasting is that of ONNX and NumPy: shapes are aligned at the last dimension.
//
// What a compiler needs is offered as optional interfaces of an operator: Affine and MultiAffine for linear operators,
// Pointwise and ChannelPointwise for functions of one element.
//
// # Dangers
//
// A graph that did not come from Builder.Graph or UnmarshalJSON has to pass Validate before its shapes mean anything;
// Run and RunRows do this themselves. Operators do not copy their inputs: an output may share memory with an input
// (Reshape), so a caller that writes into a tensor it passed in or got back may change the other.
// Tensors may hold NaN, which stands for a missing value in Imputer and TreeEnsemble; parameters may not, for JSON
// cannot carry them. Validation bounds the memory that a run takes (MaxElements, MaxTotalElements), not its time.
package model
