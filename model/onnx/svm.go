package onnx

import (
	"errors"
	"fmt"
	"math"

	"cipherpoint/model"
)

// kernel is k(x, v) of a support vector machine.
type kernel struct {
	kind                 string
	gamma, coef0, degree float64
}

func (n *node) kernel() (kernel, error) {
	k := kernel{kind: n.text("kernel_type", "LINEAR")}
	list, err := n.finite("kernel_params")
	if err != nil {
		return k, err
	}
	if len(list) != 0 {
		if len(list) != 3 {
			return k, fmt.Errorf("kernel_params has %d values instead of gamma, coef0 and degree", len(list))
		}
		k.gamma, k.coef0, k.degree = list[0], list[1], list[2]
	}
	return k, nil
}

// machine is a support vector machine in the form Σ_v weights[·][v]·k(x, v) + bias.
func (im *importer) machine(x value, k kernel, vectors model.Tensor, weights model.Tensor, bias []float64) (value, error) {
	count, width := vectors.Shape[0], vectors.Shape[1]
	if k.kind == "LINEAR" {
		// The products fold: weights·(vectors·x).
		var product model.Tensor
		if err := im.spend(weights.Shape[0] * count * width / 64); err != nil {
			return value{}, err
		}
		product, err := new(model.MatMul).Eval([]model.Tensor{weights, vectors})
		if err != nil {
			return value{}, err
		}
		return im.apply(&model.Dense{Weight: product, Bias: bias}, x)
	}
	kernels, err := im.kernels(x, k, vectors)
	if err != nil {
		return value{}, err
	}
	return im.apply(&model.Dense{Weight: weights, Bias: bias}, kernels)
}

// kernels is k(x, v) for every support vector.
func (im *importer) kernels(x value, k kernel, vectors model.Tensor) (value, error) {
	count := vectors.Shape[0]
	scaled := model.NewTensor(vectors.Shape)
	for i, v := range vectors.Data {
		scaled.Data[i] = k.gamma * v
	}
	bias := make([]float64, count)
	switch k.kind {
	case "RBF":
		distances, err := im.distances(x, vectors, -k.gamma)
		if err != nil {
			return value{}, err
		}
		return im.pointwise(&model.Activation{Function: model.Exp}, distances)
	case "POLY", "SIGMOID":
		for i := range bias {
			bias[i] = k.coef0
		}
		inner, err := im.apply(&model.Dense{Weight: scaled, Bias: bias}, x)
		if err != nil {
			return value{}, err
		}
		if k.kind == "SIGMOID" {
			return im.pointwise(&model.Activation{Function: model.Tanh}, inner)
		}
		if k.degree != math.Trunc(k.degree) || k.degree < 1 || k.degree > 16 {
			return value{}, fmt.Errorf("polynomial kernel of degree %v: integers from 1 to 16 are served", k.degree)
		}
		return im.pointwise(monomial(int(k.degree)), inner)
	default:
		return value{}, fmt.Errorf("kernel %q is not known", clean(k.kind))
	}
}

// distances is factor·‖x − v‖² for each row v: linear in the features and their squares, which come from the client
// where the features do.
func (im *importer) distances(x value, vectors model.Tensor, factor float64) (value, error) {
	count, width := vectors.Shape[0], vectors.Shape[1]
	squares, err := im.pointwise(monomial(2), x)
	if err != nil {
		return value{}, err
	}
	both, err := im.apply(&model.Concat{Axis: 0}, x, squares)
	if err != nil {
		return value{}, err
	}
	weights, bias := model.NewTensor(model.Shape{count, 2 * width}), make([]float64, count)
	for v := range count {
		row := weights.Data[v*2*width : (v+1)*2*width]
		for i, c := range vectors.Data[v*width : (v+1)*width] {
			row[i], row[width+i] = -2*factor*c, factor
			bias[v] += factor * c * c
		}
	}
	return im.apply(&model.Dense{Weight: weights, Bias: bias}, both)
}

func svmRegressor(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x, err := im.row(n.in[0])
	if err != nil {
		return nil, err
	}
	k, err := n.kernel()
	if err != nil {
		return nil, err
	}
	list, err := n.finite("coefficients")
	if err != nil {
		return nil, err
	}
	rho, err := n.finite("rho")
	if err != nil {
		return nil, err
	}
	vectors, err := n.finite("support_vectors")
	if err != nil {
		return nil, err
	}
	if len(rho) == 0 {
		return nil, errors.New("has no rho")
	}
	var v value
	if count := n.int("n_supports", 0); count > 0 {
		if len(list) != count || len(vectors) != count*x.size() {
			return nil, fmt.Errorf("%d support vectors do not fit %d coefficients, %d numbers and %d features", count, len(list), len(vectors), x.size())
		}
		v, err = im.machine(x, k, model.Tensor{Shape: model.Shape{count, x.size()}, Data: vectors},
			model.Tensor{Shape: model.Shape{1, count}, Data: list}, rho[:1])
	} else {
		if len(list) != x.size() {
			return nil, fmt.Errorf("%d coefficients do not fit %d features", len(list), x.size())
		}
		v, err = im.apply(&model.Dense{Weight: model.Tensor{Shape: model.Shape{1, x.size()}, Data: list}, Bias: rho[:1]}, x)
	}
	if err != nil {
		return nil, err
	}
	if n.int("one_class", 0) != 0 {
		if v, err = im.pointwise(&model.Compare{Operator: ">", Value: 0}, v); err != nil {
			return nil, err
		}
		if v, err = im.affine(v, 2, -1); err != nil {
			return nil, err
		}
	}
	if v, err = im.post(v, n.text("post_transform", "NONE")); err != nil {
		return nil, err
	}
	return []value{v.with(float32Type, []int{1, 1})}, nil
}

func svmClassifier(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x, err := im.row(n.in[0])
	if err != nil {
		return nil, err
	}
	c, err := n.classes("classlabels_ints")
	if err != nil {
		return nil, err
	}
	k, err := n.kernel()
	if err != nil {
		return nil, err
	}
	lists := map[string][]float64{}
	for _, name := range []string{"coefficients", "rho", "support_vectors", "prob_a", "prob_b"} {
		if lists[name], err = n.finite(name); err != nil {
			return nil, err
		}
	}
	rho := lists["rho"]
	perClass := n.ints("vectors_per_class")
	if len(perClass) == 0 {
		// One row of coefficients for each class, and one rho for all.
		rows := c.count()
		if len(rho) == 0 || len(lists["coefficients"]) != rows*x.size() {
			return nil, fmt.Errorf("%d coefficients do not fit %d classes and %d features", len(lists["coefficients"]), rows, x.size())
		}
		bias := make([]float64, rows)
		for i := range bias {
			bias[i] = rho[0]
		}
		raw, err := im.apply(&model.Dense{Weight: model.Tensor{Shape: model.Shape{rows, x.size()}, Data: lists["coefficients"]}, Bias: bias}, x)
		if err != nil {
			return nil, err
		}
		return im.classified(raw, c, nil, n.text("post_transform", "NONE"))
	}
	classes := len(perClass)
	if classes != c.count() || classes < 2 || classes > maxClasses {
		return nil, fmt.Errorf("support vectors of %d classes, but %d labels", classes, c.count())
	}
	count := 0
	for _, size := range perClass {
		if size < 0 || size > len(lists["support_vectors"]) {
			return nil, fmt.Errorf("%d support vectors of a class", size)
		}
		count += size
	}
	pairs := classes * (classes - 1) / 2
	if count == 0 || len(lists["support_vectors"]) != count*x.size() || len(lists["coefficients"]) != (classes-1)*count || len(rho) != pairs {
		return nil, fmt.Errorf("%d support vectors of %d features do not fit %d coefficients and %d rho", count, x.size(), len(lists["coefficients"]), len(rho))
	}
	if err := im.spend(pairs * count); err != nil {
		return nil, err
	}
	// A pair of classes decides by the vectors of both (LIBSVM's one against one).
	weights := model.NewTensor(model.Shape{pairs, count})
	pair, startI := 0, 0
	for i := range classes {
		startJ := startI + perClass[i]
		for j := i + 1; j < classes; j++ {
			row := weights.Data[pair*count : (pair+1)*count]
			copy(row[startI:startI+perClass[i]], lists["coefficients"][(j-1)*count+startI:])
			copy(row[startJ:startJ+perClass[j]], lists["coefficients"][i*count+startJ:])
			startJ += perClass[j]
			pair++
		}
		startI += perClass[i]
	}
	scores, err := im.machine(x, k, model.Tensor{Shape: model.Shape{count, x.size()}, Data: lists["support_vectors"]}, weights, rho)
	if err != nil {
		return nil, err
	}
	index, votes, err := im.votes(scores, classes)
	if err != nil {
		return nil, err
	}
	if len(lists["prob_a"]) > 0 {
		if scores, err = im.platt(scores, classes, lists["prob_a"], lists["prob_b"]); err != nil {
			return nil, err
		}
		return im.classified(scores, c, &index, "NONE")
	}
	if classes == 2 {
		// As onnxruntime has it: the first column is the score of the second class.
		if scores, err = im.apply(&model.Scale{Factor: model.Vector(-1, 1), Offset: model.Scalar(0)}, scores); err != nil {
			return nil, err
		}
	}
	out, err := im.classified(scores, c, &index, n.text("post_transform", "NONE"))
	if err == nil {
		// The file's scores are of pairs: not what a class can be chosen by.
		im.instead[out[1].name] = votes.name
	}
	return out, err
}

const maxClasses = 1024

// platt makes probabilities of the scores of pairs: 1/(1 + e^(a·s + b)) each, then one for each class.
func (im *importer) platt(scores value, classes int, a, b []float64) (value, error) {
	if len(a) != scores.size() || len(b) != scores.size() {
		return value{}, fmt.Errorf("%d and %d parameters of probabilities for %d pairs", len(a), len(b), scores.size())
	}
	factor, offset := make([]float64, len(a)), make([]float64, len(b))
	for i := range a {
		factor[i], offset[i] = -a[i], -b[i]
	}
	v, err := im.apply(&model.Scale{Factor: model.Vector(factor...), Offset: model.Vector(offset...)}, scores)
	if err != nil {
		return value{}, err
	}
	if v, err = im.pointwise(&model.Activation{Function: model.Sigmoid}, v); err != nil {
		return value{}, err
	}
	if v, err = im.pointwise(&model.Clip{Min: 1e-7, Max: 1 - 1e-7}, v); err != nil {
		return value{}, err
	}
	return im.apply(&model.Coupling{Classes: classes}, v)
}

// votes gives the class that wins the most pairs, and what it is the largest of: the wins, or of two classes the score
// for each.
func (im *importer) votes(scores value, count int) (index, votes value, err error) {
	if count == 2 {
		if votes, err = im.apply(&model.Scale{Factor: model.Vector(1, -1), Offset: model.Scalar(0)}, scores); err != nil {
			return
		}
		index, err = im.apply(&model.ArgMax{Axis: 0}, votes)
		return
	}
	wins, err := im.pointwise(&model.Compare{Operator: ">", Value: 0}, scores)
	if err != nil {
		return
	}
	losses, err := im.affine(wins, -1, 1)
	if err != nil {
		return
	}
	both, err := im.apply(&model.Concat{Axis: 0}, wins, losses)
	if err != nil {
		return
	}
	// Row i: the pairs that class i is in, its wins.
	pairs := scores.size()
	from := make([]int, 0, count*(count-1))
	for i := range count {
		pair := 0
		for a := range count {
			for b := a + 1; b < count; b++ {
				switch i {
				case a:
					from = append(from, pair)
				case b:
					from = append(from, pairs+pair)
				}
				pair++
			}
		}
	}
	if votes, err = im.pick(both, from, []int{count, count - 1}); err != nil {
		return
	}
	if votes, err = im.full(votes); err != nil {
		return
	}
	if votes, err = im.apply(&model.ReduceSum{Axes: []int{1}}, votes); err != nil {
		return
	}
	index, err = im.apply(&model.ArgMax{Axis: 0}, votes)
	return
}
