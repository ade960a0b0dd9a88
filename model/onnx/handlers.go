package onnx

import (
	"fmt"

	"cipherpoint/model"
)

// handlers are the operators of the standard's main domain. The table is filled at start, for branches come back to it.
var handlers map[string]handler

func init() {
	handlers = map[string]handler{
		// Constants and shapes.
		"Constant": constantNode, "ConstantOfShape": constantOfShape, "Shape": shapeNode, "Size": sizeNode, "Range": rangeNode,
		"Identity": identity, "Dropout": dropout, "Cast": cast, "CastLike": cast, "Reshape": reshape, "Flatten": flatten,
		"Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose, "Expand": expand, "Tile": tile, "Concat": concatNode,
		"Slice": sliceNode, "Split": splitNode, "Pad": pad, "Gather": gather, "GatherElements": gatherElements, "GatherND": gatherND, "OneHot": oneHot,
		"DepthToSpace": depthToSpace, "SpaceToDepth": depthToSpace, "If": branch,
		// Linear.
		"MatMul": matMulNode, "Gemm": gemm, "Conv": conv, "AveragePool": pool, "MaxPool": pool, "GlobalAveragePool": globalPool,
		"GlobalMaxPool": globalPool, "BatchNormalization": batchNormalization,
		"ConvTranspose": convTranspose, "Resize": resize, "Upsample": resize, "Einsum": einsum, "LayerNormalization": layerNormalization,
		"RMSNormalization": layerNormalization, "GroupNormalization": groupNormalization, "InstanceNormalization": groupNormalization,
		// Arithmetic.
		"Add": pairwise(addAny), "Sub": pairwise(subtractAny), "Mul": pairwise(multiplyAny), "Div": pairwise(divideAny),
		"Pow": pairwise(plainly((*importer).power)), "Sum": folded(plainly((*importer).add)), "Mean": mean,
		"Max": folded(plainly((*importer).largest)), "Min": folded(plainly((*importer).smallest)), "Mod": modulo,
		"Neg": unary(func(*node) (model.Op, error) {
			return &model.Scale{Factor: model.Scalar(-1), Offset: model.Scalar(0)}, nil
		}),
		// Comparisons.
		"Less": compare(less), "LessOrEqual": compare(lessOrEqual), "Greater": compare(greater), "GreaterOrEqual": compare(greaterOrEqual),
		"Equal": compare(equal), "Where": where, "Not": not, "And": pairwise(and), "Or": pairwise(or), "Xor": pairwise(xor), "IsNaN": isNaN,
		// Reductions.
		"ReduceSum": reduction(nil, nil, sumOf), "ReduceMean": reduction(nil, nil, meanOf), "ReduceMax": reduction(nil, nil, maxOf),
		"ReduceMin":       reduction(negated, negated, maxOf),
		"ReduceL1":        reduction(with(&model.Activation{Function: model.Abs}), nil, sumOf),
		"ReduceL2":        reduction(with(monomial(2)), with(&model.Activation{Function: model.Sqrt}), sumOf),
		"ReduceSumSquare": reduction(with(monomial(2)), nil, sumOf),
		"ReduceLogSum":    reduction(nil, with(&model.Activation{Function: model.Log}), sumOf),
		"ReduceLogSumExp": logSumExp,
		"CumSum":          cumulativeSum,
		"ReduceProd":      reduceProduct,
		"Softmax":         softmax(func(axis int) model.Op { return &model.Softmax{Axis: axis} }),
		"LogSoftmax":      softmax(func(axis int) model.Op { return &model.LogSoftmax{Axis: axis} }),
		"ArgMax":          argMax, "ArgMin": argMax, "TopK": topK, "LpNormalization": lpNormalization,
		// Activations.
		"Relu": activation(model.ReLU), "Sigmoid": activation(model.Sigmoid), "Tanh": activation(model.Tanh),
		"Softplus": activation(model.Softplus), "Softsign": activation(model.Softsign), "Exp": activation(model.Exp),
		"Log": activation(model.Log), "Erf": activation(model.Erf), "Abs": activation(model.Abs), "Sqrt": activation(model.Sqrt),
		"Reciprocal": activation(model.Reciprocal), "Sign": activation(model.Sign), "Sin": activation(model.Sin),
		"Cos": activation(model.Cos), "Atan": activation(model.Atan), "Floor": activation(model.Floor), "Ceil": activation(model.Ceil),
		"Round": activation(model.Round), "HardSwish": activation(model.HardSwish), "Mish": activation(model.Mish),
		"LeakyRelu": withAlpha(model.LeakyReLU, 0.01), "Elu": withAlpha(model.ELU, 1), "Celu": withAlpha(model.CELU, 1),
		"ThresholdedRelu": withAlpha(model.ThresholdedReLU, 1), "PRelu": pRelu, "Gelu": unary(gelu), "Clip": unary(clip),
		"Swish": swish, "Shrink": shrink,
		"Selu": unary(func(n *node) (model.Op, error) {
			return &model.Activation{Function: model.SELU, Alpha: n.float("alpha", 1.6732632423543772), Beta: n.float("gamma", 1.0507009873554805)}, nil
		}),
		"HardSigmoid": unary(func(n *node) (model.Op, error) {
			return &model.Activation{Function: model.HardSigmoid, Alpha: n.float("alpha", 0.2), Beta: n.float("beta", 0.5)}, nil
		}),
		"Scan": scan,
	}
}

// mlHandlers are the operators of the domain ai.onnx.ml.
var mlHandlers = map[string]handler{
	"LinearClassifier": linearClassifier, "LinearRegressor": linearRegressor, "SVMClassifier": svmClassifier, "SVMRegressor": svmRegressor,
	"TreeEnsembleClassifier": treeClassifier, "TreeEnsembleRegressor": treeRegressor, "Scaler": scaler, "Normalizer": normalizer,
	"Imputer": imputer, "OneHotEncoder": oneHotEncoder, "LabelEncoder": labelEncoder, "CategoryMapper": categoryMapper,
	"ArrayFeatureExtractor": arrayFeatureExtractor, "ZipMap": zipMap, "FeatureVectorizer": featureVectorizer, "Binarizer": binarizer,
}

// decisionAware are the operators that take decisions as they are; all others get them as numbers.
var decisionAware = map[string]bool{
	"Identity": true, "Dropout": true, "Cast": true, "CastLike": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true,
	"Transpose": true, "Expand": true, "Tile": true, "Concat": true, "Slice": true, "Split": true, "Gather": true, "GatherElements": true,
	"Shape": true, "Size": true, "MatMul": true, "Gemm": true, "Add": true, "Sub": true, "Mul": true, "Div": true, "Less": true,
	"LessOrEqual": true, "Greater": true, "GreaterOrEqual": true, "Equal": true, "Where": true, "Not": true, "And": true, "Or": true,
	"Xor": true, "ReduceSum": true, "ReduceMean": true,
}

// plainly gives an operator numbers in the place of decisions.
func plainly(f func(im *importer, a, b value) (value, error)) func(im *importer, a, b value) (value, error) {
	return func(im *importer, a, b value) (value, error) {
		a, err := im.plain(a)
		if err != nil {
			return value{}, err
		}
		if b, err = im.plain(b); err != nil {
			return value{}, err
		}
		return f(im, a, b)
	}
}

func isNaN(im *importer, n *node) ([]value, error) {
	out, err := activation(model.IsNaN)(im, n)
	if err != nil {
		return nil, err
	}
	return []value{out[0].with(boolType, out[0].dims)}, nil
}

// shrink moves what is farther from 0 than lambd by bias towards it, and the rest to 0.
func shrink(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x, limit, bias := n.in[0], n.float("lambd", 0.5), n.float("bias", 0)
	var total value
	for _, sign := range []float64{1, -1} {
		outside, err := im.pointwise(&model.Compare{Operator: map[float64]string{1: ">", -1: "<"}[sign], Value: sign * limit}, x)
		if err != nil {
			return nil, err
		}
		moved, err := im.affine(x, 1, -sign*bias)
		if err != nil {
			return nil, err
		}
		side, err := im.multiply(moved, outside)
		if err != nil {
			return nil, err
		}
		if !total.present() {
			total = side
		} else if total, err = im.add(total, side); err != nil {
			return nil, err
		}
	}
	return []value{total.with(x.kind, x.dims)}, nil
}

// swish is x·sigmoid(alpha·x).
func swish(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	if alpha := n.float("alpha", 1); alpha != 1 {
		return nil, fmt.Errorf("alpha is %v: only 1 is served", alpha)
	}
	v, err := im.pointwise(&model.Activation{Function: model.SiLU}, n.in[0])
	return []value{v}, err
}

// advice says what to do instead of operators that are not served.
var advice = map[string]string{
	"LSTM":                      "is recurrent, with more multiplications one after the other than encryption carries: use convolutions over the sequence, or features computed before the model",
	"GRU":                       "is recurrent, with more multiplications one after the other than encryption carries: use convolutions over the sequence, or features computed before the model",
	"RNN":                       "is recurrent, with more multiplications one after the other than encryption carries: use convolutions over the sequence, or features computed before the model",
	"Loop":                      "runs a number of times that may depend on the data: unroll it when exporting",
	"MeanVarianceNormalization": "mixes the samples of a batch: use batch or layer normalisation",
	"LRN":                       "divides by a norm of encrypted values: use batch normalisation",
	"TfIdfVectorizer":           "takes text: compute the features before the model and export the rest",
	"StringNormalizer":          "takes text: compute the features before the model and export the rest",
	"Tokenizer":                 "takes text: compute the features before the model and export the rest",
	"DictVectorizer":            "takes dictionaries: make rows of numbers before the model and export the rest",
	"CastMap":                   "takes dictionaries: make rows of numbers before the model and export the rest",
	"NonMaxSuppression":         "chooses by encrypted values: end the model before it",
	"NonZero":                   "has a result whose size depends on the data: end the model before it",
	"Unique":                    "has a result whose size depends on the data: end the model before it",
	"Compress":                  "has a result whose size depends on the data: end the model before it",
	"TreeEnsemble":              "is of version 5 of ai.onnx.ml: export with target_opset={'ai.onnx.ml': 3}",
}

func (im *importer) refuse(n *node) error {
	if text, ok := advice[n.kind]; ok {
		return fmt.Errorf("%s", text)
	}
	if n.domain != "" && n.domain != mlDomain {
		return fmt.Errorf("operator of the domain %q, which is not served: export with operators of ONNX only", clean(n.domain))
	}
	return fmt.Errorf("operator is not served: replace it by ones that are, or end the model before it")
}
