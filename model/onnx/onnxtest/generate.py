#!/usr/bin/env python3
"""Writes ONNX files of many kinds and exporters with the outputs that onnxruntime gives, for TestFiles and TestEveryFile:

    pip install scikit-learn==1.6.1 skl2onnx==1.20.0 onnxmltools==1.16.0 lightgbm==4.7.0 xgboost==3.2.0 \
                onnx==1.23.2 onnxruntime==1.31.1 torch==2.15.0 onnxscript==0.7.2 keras==3.15.1 hummingbird-ml==0.4.12
    KERAS_BACKEND=torch python generate.py FOLDER [sklearn|boosted|torch|keras|hummingbird …]
    CIPHERPOINT_ONNX=FOLDER go test ./model/onnx -run TestFiles -v
    CIPHERPOINT_ONNX=FOLDER go test ./creating_models -run TestEveryFile -every-file -v -timeout 3h
"""
import io
import json
import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(4)
# skl2onnx gives numbers of NumPy for attributes, which onnx has stopped to take.
attribute = onnx.helper.make_attribute
plain = lambda value: value.ravel().tolist() if isinstance(value, np.ndarray) else [plain(v) for v in value] if isinstance(value, list) else int(value) if isinstance(value, (bool, np.bool_)) else value.item() if isinstance(value, np.generic) else value
onnx.helper.make_attribute = lambda key, value, *more, **named: attribute(key, plain(value), *more, **named)
folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
ROWS = 24


def save(name, model, feeds):
    """Stores a model and what onnxruntime answers."""
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs = session.run(None, feeds)
        # Some exporters write models that mix the rows of a batch: here a row is served at a time.
        if all(not isinstance(i.shape[0], int) for i in session.get_inputs()) and not any(isinstance(o, list) for o in outputs):
            rows = [session.run(None, {k: v[i : i + 1] for k, v in feeds.items()}) for i in range(ROWS)]
            outputs = [np.concatenate([np.reshape(row[k], -1) for row in rows]) for k in range(len(outputs))]
    except Exception as error:
        return print(f"{name}: onnxruntime: {str(error)[:150]}")

    def listed(a):
        return [None if isinstance(v, float) and v != v else v for v in np.asarray(a).ravel().tolist()]

    case = {"inputs": {}, "outputs": {}}
    for key, value in feeds.items():
        value = value if value.dtype.kind in "OUS" else value.astype(np.float64)
        case["inputs"][key] = {"dims": list(value.shape), "data": listed(value)}
    for node, value in zip(session.get_outputs(), outputs):
        if isinstance(value, list):
            value = np.array([list(row.values()) for row in value])
        case["outputs"][node.name] = {"dims": list(np.shape(value)), "data": listed(value)}
    onnx.save(model, os.path.join(folder, name + ".onnx"))
    with open(os.path.join(folder, name + ".expected.json"), "w") as file:
        json.dump({"cases": [case]}, file)


def attempt(name, make):
    """make returns a model and its inputs; an exporter that cannot do it is told and left out."""
    try:
        model, feeds = make()
    except Exception as error:
        return print(f"{name}: not exported: {str(error)[:120]!r}")
    save(name, model, feeds)


def some(x):
    return x[:: max(1, len(x) // ROWS)][:ROWS]


def sklearn_models():
    from sklearn import calibration, compose, decomposition, discriminant_analysis, ensemble, feature_selection, impute
    from sklearn import linear_model, multiclass, naive_bayes, neighbors, neural_network, preprocessing, svm, tree
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
    from sklearn.pipeline import make_pipeline
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    scaler = preprocessing.StandardScaler
    logistic = lambda **k: linear_model.LogisticRegression(max_iter=3000, **k)
    stump = lambda: tree.DecisionTreeClassifier(max_depth=3, random_state=0)
    classifiers = {
        "logistic": logistic(), "logistic_ovr": multiclass.OneVsRestClassifier(logistic()), "ovo": multiclass.OneVsOneClassifier(logistic()),
        "logistic_cv": linear_model.LogisticRegressionCV(max_iter=3000), "ridge": linear_model.RidgeClassifier(),
        "sgd_log": make_pipeline(scaler(), linear_model.SGDClassifier(loss="log_loss", random_state=0)),
        "sgd_huber": make_pipeline(scaler(), linear_model.SGDClassifier(loss="modified_huber", random_state=0)),
        "sgd_hinge": make_pipeline(scaler(), linear_model.SGDClassifier(random_state=0)),
        "perceptron": make_pipeline(scaler(), linear_model.Perceptron()), "linear_svc": svm.LinearSVC(random_state=0),
        "svc_linear": make_pipeline(scaler(), svm.SVC(kernel="linear")), "svc_poly": make_pipeline(scaler(), svm.SVC(kernel="poly", degree=2)),
        "svc_rbf": make_pipeline(scaler(), svm.SVC()), "svc_sigmoid": make_pipeline(scaler(), svm.SVC(kernel="sigmoid")),
        "svc_platt": make_pipeline(scaler(), svm.SVC(probability=True, random_state=0)), "nu_svc": make_pipeline(scaler(), svm.NuSVC(nu=0.2)),
        "nu_svc_platt": make_pipeline(scaler(), svm.NuSVC(nu=0.2, kernel="linear", probability=True, random_state=0)),
        "tree": stump(), "extra_tree": tree.ExtraTreeClassifier(max_depth=4, random_state=0),
        "forest": ensemble.RandomForestClassifier(8, max_depth=4, random_state=0), "extra_trees": ensemble.ExtraTreesClassifier(8, max_depth=4, random_state=0),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=6, random_state=0),
        "histogram_boosting": ensemble.HistGradientBoostingClassifier(max_iter=6, max_depth=3),
        "ada": ensemble.AdaBoostClassifier(n_estimators=5, random_state=0), "bagging": ensemble.BaggingClassifier(stump(), 4, random_state=0),
        "bagging_svc": ensemble.BaggingClassifier(make_pipeline(scaler(), svm.SVC(probability=True)), 2, random_state=0),
        "vote_soft": ensemble.VotingClassifier([("a", logistic()), ("b", stump())], voting="soft", flatten_transform=False),
        "vote_hard": ensemble.VotingClassifier([("a", logistic()), ("b", stump()), ("c", naive_bayes.GaussianNB())], flatten_transform=False),
        "stack": ensemble.StackingClassifier([("a", logistic()), ("b", stump())], final_estimator=logistic()),
        "calibrated_sigmoid": calibration.CalibratedClassifierCV(svm.LinearSVC(random_state=0), cv=2),
        "calibrated_isotonic": calibration.CalibratedClassifierCV(stump(), method="isotonic", cv=2),
        "knn": neighbors.KNeighborsClassifier(3), "knn_distance": neighbors.KNeighborsClassifier(3, weights="distance"),
        "knn_manhattan": neighbors.KNeighborsClassifier(3, metric="manhattan"), "radius": neighbors.RadiusNeighborsClassifier(50.0),
        "centroid": neighbors.NearestCentroid(), "gaussian_nb": naive_bayes.GaussianNB(),
        "bernoulli_nb": make_pipeline(preprocessing.Binarizer(threshold=2.0), naive_bayes.BernoulliNB()),
        "multinomial_nb": make_pipeline(preprocessing.MinMaxScaler(), naive_bayes.MultinomialNB()),
        "complement_nb": make_pipeline(preprocessing.MinMaxScaler(), naive_bayes.ComplementNB()),
        "lda": discriminant_analysis.LinearDiscriminantAnalysis(), "qda": discriminant_analysis.QuadraticDiscriminantAnalysis(),
        "gaussian_mixture_pca": make_pipeline(scaler(), decomposition.PCA(3), logistic()),
        "svd": make_pipeline(decomposition.TruncatedSVD(3), logistic()), "kernel_pca": make_pipeline(scaler(), decomposition.KernelPCA(3, kernel="rbf", gamma=0.1), logistic()),
        "polynomial": make_pipeline(scaler(), preprocessing.PolynomialFeatures(2), logistic()),
        "bins": make_pipeline(preprocessing.KBinsDiscretizer(4), logistic()), "bins_ordinal": make_pipeline(preprocessing.KBinsDiscretizer(4, encode="ordinal"), stump()),
        "quantiles": make_pipeline(preprocessing.QuantileTransformer(n_quantiles=20), logistic()), "power": make_pipeline(preprocessing.PowerTransformer(), logistic()),
        "robust": make_pipeline(preprocessing.RobustScaler(), logistic()), "normalizer": make_pipeline(preprocessing.Normalizer("l1"), logistic()),
        "select": make_pipeline(feature_selection.SelectKBest(k=2), logistic()), "splines": make_pipeline(preprocessing.SplineTransformer(), logistic()),
        "function": make_pipeline(preprocessing.FunctionTransformer(), logistic()),
        "multi_output": ensemble.RandomForestClassifier(3, max_depth=2, random_state=0),
    }
    for activation in ("relu", "tanh", "logistic", "identity"):
        classifiers["mlp_" + activation] = make_pipeline(scaler(), neural_network.MLPClassifier((12, 6), activation=activation, max_iter=300, random_state=0))
    regressors = {
        "linear": linear_model.LinearRegression(), "ridge": linear_model.Ridge(), "lasso": linear_model.Lasso(0.1), "elastic_net": linear_model.ElasticNet(0.1),
        "bayesian_ridge": linear_model.BayesianRidge(), "ard": linear_model.ARDRegression(), "huber": linear_model.HuberRegressor(max_iter=2000), "poisson": linear_model.PoissonRegressor(),
        "gamma": linear_model.GammaRegressor(), "tweedie": linear_model.TweedieRegressor(power=1.5), "tweedie_identity": linear_model.TweedieRegressor(power=0),
        "quantile": linear_model.QuantileRegressor(), "theil_sen": linear_model.TheilSenRegressor(random_state=0), "ransac": linear_model.RANSACRegressor(random_state=0),
        "svr_rbf": make_pipeline(scaler(), svm.SVR(C=100)), "svr_poly": make_pipeline(scaler(), svm.SVR(kernel="poly", C=10)),
        "svr_linear": make_pipeline(scaler(), svm.SVR(kernel="linear")), "nu_svr": make_pipeline(scaler(), svm.NuSVR(C=10)), "linear_svr": svm.LinearSVR(random_state=0),
        "tree": tree.DecisionTreeRegressor(max_depth=5, random_state=0), "forest": ensemble.RandomForestRegressor(8, max_depth=4, random_state=0),
        "extra_trees": ensemble.ExtraTreesRegressor(8, max_depth=4, random_state=0), "boosting": ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0),
        "histogram_boosting": ensemble.HistGradientBoostingRegressor(max_iter=8), "ada": ensemble.AdaBoostRegressor(n_estimators=4, random_state=0),
        "histogram_poisson": ensemble.HistGradientBoostingRegressor(max_iter=8, loss="poisson"),
        "bagging": ensemble.BaggingRegressor(n_estimators=3, max_features=4, random_state=0), "vote": ensemble.VotingRegressor([("a", linear_model.LinearRegression()), ("b", tree.DecisionTreeRegressor(max_depth=3))]),
        "stack": ensemble.StackingRegressor([("a", linear_model.LinearRegression()), ("b", tree.DecisionTreeRegressor(max_depth=3))], final_estimator=linear_model.Ridge()),
        "knn": neighbors.KNeighborsRegressor(4), "knn_distance": neighbors.KNeighborsRegressor(4, weights="distance"), "pls": __import__("sklearn.cross_decomposition", fromlist=["x"]).PLSRegression(2),
        "gaussian_process": __import__("sklearn.gaussian_process", fromlist=["x"]).GaussianProcessRegressor(alpha=10.0, normalize_y=True),
        "mlp_relu": make_pipeline(scaler(), neural_network.MLPRegressor((12, 6), max_iter=300, random_state=0)), "mlp_tanh": make_pipeline(scaler(), neural_network.MLPRegressor((12,), activation="tanh", max_iter=300, random_state=0)),
        "kmeans": KMeans(3, n_init=2, random_state=0), "isolation_forest": ensemble.IsolationForest(n_estimators=5, random_state=0), "one_class_svm": make_pipeline(scaler(), svm.OneClassSVM()),
        "outliers": neighbors.LocalOutlierFactor(novelty=True),
        "target_scaled": compose.TransformedTargetRegressor(linear_model.Ridge(), transformer=scaler()),
        "poisson_pipeline": make_pipeline(scaler(), linear_model.PoissonRegressor()),
    }
    every_version = {"logistic", "tree", "forest", "linear", "mlp_relu", "svc_rbf", "knn", "histogram_boosting", "poisson"}
    versions = [(9, 1), (11, 1), (13, 2), (15, 3), (18, 3), (19, 3), (21, 3), (21, 4)]
    iris, cancer, diabetes = (load(return_X_y=True) for load in (load_iris, load_breast_cancer, load_diabetes))
    for models, sets in ((classifiers, {"iris": iris, "cancer": cancer}), (regressors, {"diabetes": diabetes})):
        for name, model in models.items():
            for data, (x, y) in sets.items():
                x = x.astype(np.float32)
                if name == "multi_output":
                    y = np.c_[y, y[::-1]]
                try:
                    model.fit(x, y)
                except Exception as error:
                    print(f"{name}: not fitted to {data}: {str(error)[:100]}")
                    continue
                for main, ml in versions if name in every_version and data != "cancer" else [(17, 3)]:
                    for zipmap in (True, False) if name in ("logistic", "svc_rbf") else (True,):
                        options = None if zipmap else {id(model): {"zipmap": False}}
                        label = f"sklearn_{name}_{data}_{main}_{ml}" + ("" if zipmap else "_tensor")
                        attempt(label, lambda: (to_onnx(model, x[:1], options=options, target_opset={"": main, "ai.onnx.ml": ml}), {"X": some(x)}))
    # Missing values, columns of their own types, text.
    x, y = iris[0].astype(np.float32), iris[1]
    random = np.random.RandomState(0)
    gaps = np.where(random.rand(*x.shape) < 0.2, np.nan, x).astype(np.float32)
    for name, model in {
        "imputer_mean": make_pipeline(impute.SimpleImputer(), logistic()), "imputer_constant": make_pipeline(impute.SimpleImputer(strategy="constant", fill_value=-1), logistic()),
        "imputer_indicator": make_pipeline(impute.SimpleImputer(add_indicator=True), logistic()), "imputer_knn": make_pipeline(impute.KNNImputer(), logistic()),
        "histogram_boosting_gaps": ensemble.HistGradientBoostingClassifier(max_iter=5), "forest_gaps": ensemble.RandomForestClassifier(3, max_depth=3, random_state=0),
    }.items():
        model.fit(gaps, y)
        attempt("sklearn_" + name, lambda: (to_onnx(model, gaps[:1], target_opset={"": 17, "ai.onnx.ml": 3}), {"X": some(gaps)}))
    names = np.array(["setosa", "versicolor", "virginica"])
    for name, model in {"logistic": logistic(), "forest": ensemble.RandomForestClassifier(4, max_depth=3), "svc": svm.SVC(probability=True), "knn": neighbors.KNeighborsClassifier(3), "vote": ensemble.VotingClassifier([("a", logistic()), ("b", stump())], voting="soft", flatten_transform=False)}.items():
        model.fit(x, names[y])
        attempt(f"sklearn_text_labels_{name}", lambda: (to_onnx(model, x[:1], target_opset={"": 17, "ai.onnx.ml": 3}), {"X": some(x)}))
    columns = np.c_[x[:, :2], random.randint(0, 4, (len(x), 2))].astype(np.float32)
    for name, one in {"onehot": preprocessing.OneHotEncoder(handle_unknown="ignore"), "ordinal": preprocessing.OrdinalEncoder(), "onehot_drop": preprocessing.OneHotEncoder(drop="first")}.items():
        model = make_pipeline(compose.ColumnTransformer([("number", scaler(), [0, 1]), ("category", one, [2, 3])]), logistic()).fit(columns, y)
        attempt("sklearn_columns_" + name, lambda: (to_onnx(model, columns[:1], target_opset={"": 17, "ai.onnx.ml": 3}), {"X": some(columns)}))
    import pandas

    frame = pandas.DataFrame({"length": x[:, 0], "width": x[:, 1], "colour": random.choice(["red", "white", "blue"], len(x)), "size": random.choice(["S", "M", "L"], len(x)), "count": random.randint(0, 9, len(x))})
    types = [("length", FloatTensorType([None, 1])), ("width", FloatTensorType([None, 1])), ("colour", StringTensorType([None, 1])), ("size", StringTensorType([None, 1])), ("count", Int64TensorType([None, 1]))]
    category = lambda: make_pipeline(impute.SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(handle_unknown="ignore"))
    for name, one, last in (("onehot", preprocessing.OneHotEncoder(handle_unknown="ignore"), logistic()), ("ordinal", preprocessing.OrdinalEncoder(), ensemble.RandomForestClassifier(4, max_depth=3)), ("imputed", category(), logistic())):
        model = make_pipeline(compose.ColumnTransformer([("number", make_pipeline(impute.SimpleImputer(), scaler()), ["length", "width", "count"]), ("category", one, ["colour", "size"])]), last).fit(frame, y)
        feeds = {c: frame[c].to_numpy()[:ROWS].reshape(-1, 1) for c in frame}
        feeds = {c: v.astype(np.float32) if c in ("length", "width") else v.astype(np.int64) if c == "count" else v for c, v in feeds.items()}
        attempt("sklearn_text_" + name, lambda: (to_onnx(model, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3}), feeds))


def boosted_models():
    import lightgbm
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

    for data, load in {"iris": load_iris, "cancer": load_breast_cancer, "diabetes": load_diabetes}.items():
        x, y = load(return_X_y=True)
        x = x.astype(np.float32)
        models = {
            "lightgbm": lightgbm.LGBMClassifier(n_estimators=5, verbose=-1), "lightgbm_forest": lightgbm.LGBMClassifier(n_estimators=5, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6, verbose=-1),
            "xgboost": xgboost.XGBClassifier(n_estimators=5, max_depth=3), "xgboost_dart": xgboost.XGBClassifier(n_estimators=5, max_depth=3, booster="dart"),
        } if data != "diabetes" else {
            "lightgbm": lightgbm.LGBMRegressor(n_estimators=5, verbose=-1), "lightgbm_poisson": lightgbm.LGBMRegressor(n_estimators=5, objective="poisson", verbose=-1), "lightgbm_tweedie": lightgbm.LGBMRegressor(n_estimators=5, objective="tweedie", verbose=-1),
            "xgboost": xgboost.XGBRegressor(n_estimators=5, max_depth=3), "xgboost_poisson": xgboost.XGBRegressor(n_estimators=5, max_depth=3, objective="count:poisson"), "xgboost_gamma": xgboost.XGBRegressor(n_estimators=5, max_depth=3, objective="reg:gamma"),
        }
        for name, model in models.items():
            model.fit(x, y)
            convert = onnxmltools.convert_lightgbm if name.startswith("lightgbm") else onnxmltools.convert_xgboost
            for opset in (9, 12, 15):
                attempt(f"boosted_{name}_{data}_{opset}", lambda: (convert(model, initial_types=[("X", FloatTensorType([None, x.shape[1]]))], target_opset=opset), {"X": some(x)}))


def torch_models():
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)

    class Lambda(nn.Module):
        def __init__(self, call, **parts):
            super().__init__()
            self.call = call
            for key, part in parts.items():
                setattr(self, key, part)

        def forward(self, x):
            return self.call(self, x)

    conv = nn.Conv2d
    models = {
        "conv1d": (nn.Sequential(nn.Conv1d(2, 4, 3, padding=1, stride=2), nn.ReLU(), nn.Conv1d(4, 4, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)), (2, 16)),
        "conv1d_pool": (nn.Sequential(nn.Conv1d(1, 3, 5), nn.MaxPool1d(2), nn.ELU(), nn.Flatten(), nn.Linear(18, 2)), (1, 16)),
        "conv1d_dilated": (nn.Sequential(nn.Conv1d(1, 3, 3, dilation=2), nn.Tanh(), nn.AvgPool1d(4), nn.Flatten(), nn.Linear(9, 2)), (1, 16)),
        "residual": (Lambda(lambda m, x: m.f((lambda h: torch.relu(h + m.b(m.d(h))))(torch.relu(m.a(m.c(x)))).mean(dim=(2, 3))), c=conv(1, 4, 3, padding=1), a=nn.BatchNorm2d(4), d=conv(4, 4, 3, padding=1), b=nn.BatchNorm2d(4), f=nn.Linear(4, 3)), (1, 6, 6)),
        "dense_block": (Lambda(lambda m, x: m.f(torch.cat([x, torch.relu(m.c(x))], 1).flatten(1)), c=conv(2, 3, 3, padding=1), f=nn.Linear(80, 3)), (2, 4, 4)),
        "inception": (Lambda(lambda m, x: m.f(torch.cat([m.a(x), m.b(x), functional.avg_pool2d(x, 3, 1, 1)], 1).relu().flatten(1)), a=conv(1, 2, 1), b=conv(1, 2, 3, padding=1), f=nn.Linear(80, 3)), (1, 4, 4)),
        "squeeze_excite": (Lambda(lambda m, x: m.f((m.c(x) * torch.sigmoid(m.g(m.c(x).mean(dim=(2, 3))))[:, :, None, None]).flatten(1)), c=conv(1, 3, 3), g=nn.Linear(3, 3), f=nn.Linear(48, 3)), (1, 6, 6)),
        "mobile": (nn.Sequential(conv(3, 6, 1), nn.ReLU6(), conv(6, 6, 3, groups=6, padding=1), nn.BatchNorm2d(6), nn.ReLU6(), conv(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), (3, 6, 6)),
        "lenet": (nn.Sequential(conv(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), conv(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)), (1, 8, 8)),
        "square": (Lambda(lambda m, x: m.f(m.c(x).pow(2).flatten(1)).square(), c=conv(1, 3, 3, stride=2), f=nn.Linear(27, 3)), (1, 8, 8)),
        "split": (Lambda(lambda m, x: (lambda u, v, w: m.f(torch.cat([u * v, w], 1)))(*torch.split(m.c(x), 2, 1)), c=nn.Linear(5, 6), f=nn.Linear(4, 2)), (5,)),
        "slices": (Lambda(lambda m, x: m.f(torch.cat([x[:, 1:4], x[:, ::2], x[:, -2:]], 1)), f=nn.Linear(8, 2)), (6,)),
        "transposed": (Lambda(lambda m, x: m.f(x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)), f=nn.Linear(32, 3)), (2, 4, 4)),
        "gather": (Lambda(lambda m, x: m.f(x[:, [3, 0, 2, 2]]), f=nn.Linear(4, 2)), (5,)),
        "stacked": (Lambda(lambda m, x: torch.stack([m.a(x), m.b(x)], 1).mean(1), a=nn.Linear(4, 3), b=nn.Linear(4, 3)), (4,)),
        "bilinear": (Lambda(lambda m, x: (m.a(x) * m.b(x)).sum(1, keepdim=True), a=nn.Linear(4, 3), b=nn.Linear(4, 3)), (4,)),
        "cosine": (Lambda(lambda m, x: functional.linear(functional.normalize(x), m.a.weight), a=nn.Linear(6, 5, bias=False)), (6,)),
        "where": (Lambda(lambda m, x: torch.where(m.a(x) > 0, m.b(x), 0.1 * m.b(x)), a=nn.Linear(4, 3), b=nn.Linear(4, 3)), (4,)),
        "mixed_prelu": (nn.Sequential(conv(1, 3, 3), nn.PReLU(3), nn.Flatten(), nn.Linear(48, 3), nn.PReLU(), nn.Linear(3, 2)), (1, 6, 6)),
        "wide_deep": (Lambda(lambda m, x: m.w(x) + m.d(x), w=nn.Linear(6, 1), d=nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 1))), (6,)),
        "autoencoder": (nn.Sequential(nn.Linear(8, 3), nn.GELU(), nn.Linear(3, 8)), (8,)),
        "normed": (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)), (4,)), "grouped": (nn.Sequential(conv(4, 4, 3), nn.GroupNorm(2, 4), nn.Flatten()), (4, 5, 5)),
        "attention": (Lambda(lambda m, x: m.f((torch.softmax(m.q(x) @ m.k(x).transpose(1, 2), -1) @ m.v(x)).mean(1)), q=nn.Linear(3, 3), k=nn.Linear(3, 3), v=nn.Linear(3, 3), f=nn.Linear(3, 2)), (4, 3)),
        "lstm": (Lambda(lambda m, x: m.r(x)[0], r=nn.LSTM(3, 2, batch_first=True)), (4, 3)), "upsampled": (nn.Sequential(nn.Upsample(scale_factor=2), conv(1, 1, 3), nn.Flatten()), (1, 4, 4)),
        "deconvolved": (nn.Sequential(nn.ConvTranspose2d(1, 2, 3, stride=2), nn.Flatten()), (1, 4, 4)), "upsampled_linear": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Flatten()), (2, 3, 4)),
        "deconvolved_groups": (nn.Sequential(nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(2, 0), output_padding=(1, 2), dilation=(1, 2), groups=2), nn.Flatten()), (4, 4, 3)), "deconvolved_1d": (nn.Sequential(nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1), nn.Flatten()), (2, 5)),
        "upsampled_corners": (nn.Sequential(nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True), nn.Flatten()), (1, 3, 4)), "resized": (nn.Sequential(nn.Upsample(size=(5, 3)), nn.Flatten()), (1, 3, 4)),
        "einsum_pairs": (Lambda(lambda m, x: torch.einsum("bij,bkj->bik", x, m.a(x)), a=nn.Linear(4, 4)), (3, 4)), "einsum_heads": (Lambda(lambda m, x: torch.einsum("bhij,bhjd->bihd", x, x * 0.5), a=nn.Linear(4, 4)), (2, 3, 3)), "instance": (nn.Sequential(conv(1, 2, 3), nn.InstanceNorm2d(2), nn.Flatten()), (1, 6, 6)),
        "clamped": (nn.Sequential(nn.Linear(4, 4), nn.Hardtanh(-0.5, 0.5), nn.Linear(4, 2), nn.LogSoftmax(1)), (4,)), "maxout": (Lambda(lambda m, x: m.f(torch.max(m.a(x), m.b(x))), a=nn.Linear(4, 3), b=nn.Linear(4, 3), f=nn.Linear(3, 2)), (4,)),
        "einsum": (Lambda(lambda m, x: torch.einsum("bi,oi->bo", x, m.a.weight), a=nn.Linear(4, 3)), (4,)), "cumulative": (Lambda(lambda m, x: torch.cumsum(m.a(x), 1), a=nn.Linear(4, 3)), (4,)),
    }
    for name, activation in {"hardshrink": nn.Hardshrink(0.3), "softshrink": nn.Softshrink(0.3), "hardsigmoid": nn.Hardsigmoid(), "hardswish": nn.Hardswish(), "mish": nn.Mish(), "softsign": nn.Softsign(), "celu": nn.CELU(1.3), "rrelu": nn.RReLU(), "glu": nn.GLU(), "threshold": nn.Threshold(0.1, 0.0), "logsigmoid": nn.LogSigmoid(), "tanhshrink": nn.Tanhshrink(), "softmin": nn.Softmin(1)}.items():
        models["activation_" + name] = (nn.Sequential(nn.Linear(4, 6), activation, nn.Linear(3 if name == "glu" else 6, 2)), (4,))
    random = np.random.RandomState(0)
    for name, (model, shape) in models.items():
        model.eval()
        for part in model.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                part.running_mean.uniform_(-1, 1)
                part.running_var.uniform_(0.5, 2)
        x = torch.tensor(random.randn(ROWS, *shape), dtype=torch.float32)

        def script(opset):
            out = io.BytesIO()
            torch.onnx.export(model, (x,), out, dynamo=False, opset_version=opset, input_names=["x"], dynamic_axes={"x": {0: "n"}})
            return onnx.load_from_string(out.getvalue()), {"x": x.numpy()}

        def dynamo(opset):
            proto = torch.onnx.export(model, (x,), dynamo=True, opset_version=opset, verbose=False, dynamic_shapes=({0: torch.export.Dim("b")},)).model_proto
            return proto, {proto.graph.input[0].name: x.numpy()}

        for opset in (9, 13, 17):
            attempt(f"torch_{name}_{opset}", lambda: script(opset))
        for opset in (18, 21):
            attempt(f"torch_{name}_{opset}", lambda: dynamo(opset))


def keras_models():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    models = {
        "dense": [keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(3, "softmax")], "binary": [keras.Input((6,)), layers.Dense(8, "elu"), layers.Dense(1, "sigmoid")],
        "conv": [keras.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4, "softmax")],
        "conv_same": [keras.Input((8, 8, 2)), layers.Conv2D(4, 3, padding="same", strides=2), layers.BatchNormalization(), layers.Activation("tanh"), layers.GlobalAveragePooling2D(), layers.Dense(3)],
        "separable": [keras.Input((8, 8, 3)), layers.SeparableConv2D(4, 3), layers.ReLU(6.0), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(3)],
        "depthwise": [keras.Input((8, 8, 2)), layers.DepthwiseConv2D(3, padding="same"), layers.LeakyReLU(0.1), layers.Flatten(), layers.Dense(2)],
        "conv1d": [keras.Input((16, 2)), layers.Conv1D(4, 3, activation="swish"), layers.GlobalAveragePooling1D(), layers.Dense(2)],
        "causal": [keras.Input((16, 1)), layers.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="gelu"), layers.Flatten(), layers.Dense(2)],
        "decoder": [keras.Input((6,)), layers.Dense(16, "relu"), layers.Reshape((2, 2, 4)), layers.Conv2DTranspose(3, 3, strides=2, padding="same"), layers.UpSampling2D(2), layers.Conv2D(1, 3, activation="sigmoid")],
        "layer_norm": [keras.Input((6,)), layers.Dense(4), layers.LayerNormalization(), layers.Dense(2)], "permuted": [keras.Input((4, 6)), layers.Permute((2, 1)), layers.Reshape((8, 3)), layers.Flatten(), layers.Dense(2)], "rescaled": [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.ZeroPadding2D(1), layers.Cropping2D(2), layers.Flatten(), layers.Dense(3, "softplus")],
        "prelu": [keras.Input((6,)), layers.Dense(4), layers.PReLU(), layers.Dense(2)], "normalization": [keras.Input((6,)), layers.Normalization(mean=1.0, variance=4.0), layers.Dense(4, "selu"), layers.Dense(1, "exponential")],
    }
    random = np.random.RandomState(0)
    for name, parts in models.items():
        model = keras.Sequential(parts)
        x = random.randn(ROWS, *model.input_shape[1:]).astype(np.float32)
        model(x[:1])
        for part in model.layers:
            if isinstance(part, layers.BatchNormalization):
                part.set_weights([random.rand(*w.shape) + 0.5 for w in part.get_weights()])

        def export():
            path = os.path.join(folder, "keras.tmp")
            model.export(path, format="onnx", verbose=False)
            proto = onnx.load(path)
            os.remove(path)
            return proto, {proto.graph.input[0].name: x}

        attempt("keras_" + name, export)


def hummingbird_models():
    import hummingbird.ml
    import lightgbm
    import xgboost
    from sklearn import ensemble, linear_model, preprocessing, svm, tree
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
    from sklearn.pipeline import make_pipeline

    for data, load in {"iris": load_iris, "cancer": load_breast_cancer, "diabetes": load_diabetes}.items():
        x, y = load(return_X_y=True)
        x = x.astype(np.float32)
        models = {
            "tree": tree.DecisionTreeClassifier(max_depth=3), "forest": ensemble.RandomForestClassifier(4, max_depth=4, random_state=0), "extra": ensemble.ExtraTreesClassifier(4, max_depth=4, random_state=0),
            "boosting": ensemble.GradientBoostingClassifier(n_estimators=4), "histogram": ensemble.HistGradientBoostingClassifier(max_iter=4), "lightgbm": lightgbm.LGBMClassifier(n_estimators=4, verbose=-1),
            "xgboost": xgboost.XGBClassifier(n_estimators=4, max_depth=3), "logistic": make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()), "svc": svm.SVC(),
        } if data != "diabetes" else {"tree": tree.DecisionTreeRegressor(max_depth=4), "forest": ensemble.RandomForestRegressor(4, max_depth=4, random_state=0), "lightgbm": lightgbm.LGBMRegressor(n_estimators=4, verbose=-1), "xgboost": xgboost.XGBRegressor(n_estimators=4, max_depth=3)}
        for name, model in models.items():
            model.fit(x, y)
            for strategy in ("gemm", "tree_trav", "perf_tree_trav"):
                def export():
                    made = hummingbird.ml.convert(model, "torch.jit", x[:ROWS], extra_config={"tree_implementation": strategy})
                    import torch

                    out = io.BytesIO()
                    torch.onnx.export(made.model, (torch.tensor(some(x)),), out, dynamo=False, opset_version=13, input_names=["x"], dynamic_axes={"x": {0: "n"}})
                    return onnx.load_from_string(out.getvalue()), {"x": some(x)}

                attempt(f"hummingbird_{name}_{data}_{strategy}", export)
                if name in ("logistic", "svc"):
                    break


kinds = {"sklearn": sklearn_models, "boosted": boosted_models, "torch": torch_models, "keras": keras_models, "hummingbird": hummingbird_models}
for kind in sys.argv[2:] or kinds:
    kinds[kind]()
