"""Tunes scikit-learn's and XGBoost's models on the rows that `go run ./bench tables --export DIR` wrote.

    pip install -r requirements.txt
    python baseline.py DIR baseline.json

Every division of a data set is measured by itself: parameters are chosen by cross-validation on its train.csv, and its
test.csv is read for the metrics alone. Divisions that the file holds already, of the same rows, are kept: delete what is
to be measured again.
"""

import csv
import hashlib
import json
import os
import sys
import time

import numpy
import scipy
import sklearn
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

SEED = 1
MANY = 10_000  # rows from which grids are smaller and folds three
CORES = len(os.sched_getaffinity(0))
REGRESSION = {"wine-quality", "california-housing", "diabetes-regression"}
UNBALANCED = {"adult", "credit-default", "german-credit", "creditcard-fraud-sample"}


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return rows[0][:-1], [row[:-1] for row in rows[1:]], [row[-1] for row in rows[1:]]


def read_images(path):
    with open(path, encoding="utf-8") as file:
        file.readline()
        lines = file.read().split("\n")[:-1]
    split = [line.rsplit(",", 1) for line in lines]
    pixels = numpy.loadtxt([left for left, _ in split], delimiter=",", dtype=numpy.float32)
    return pixels / 255, [right for _, right in split]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def as_columns(train, test):
    """Numeric columns, then the names' ones, and how many there are of the first. A missing number is NaN, a name ''."""
    numeric = [all(f == "" or is_number(f) for f in column) for column in zip(*train)]
    order = [k for k, yes in enumerate(numeric) if yes] + [k for k, yes in enumerate(numeric) if not yes]

    def convert(rows):
        table = numpy.empty((len(rows), len(order)), dtype=object)
        for i, row in enumerate(rows):
            for j, k in enumerate(order):
                table[i, j] = row[k] if not numeric[k] else float(row[k] or "nan")
        return table

    return convert(train), convert(test), sum(numeric)


def prepared(numbers, columns, scale):
    steps = [SimpleImputer(strategy="median")] + ([StandardScaler()] if scale else [])
    return ColumnTransformer([
        ("numbers", make_pipeline(*steps), list(range(numbers))),
        ("names", OneHotEncoder(handle_unknown="ignore", min_frequency=5), list(range(numbers, columns))),
    ], sparse_threshold=0)


def boosting(model):
    return model(tree_method="hist", n_jobs=1, random_state=SEED)


def candidates(name, numbers, columns, rows):
    """kind, estimator, grid: what somebody who knows the field would try first; of many rows less, and no forests."""
    if rows > MANY:
        grow = {"n_estimators": [200, 500], "max_depth": [3, 6], "learning_rate": [0.05, 0.1], "subsample": [0.8]}
    else:
        grow = {"n_estimators": [100, 300, 600], "max_depth": [2, 4, 6], "learning_rate": [0.03, 0.1], "subsample": [0.8]}
        bag = {"min_samples_leaf": [1, 3, 10], "max_features": ["sqrt", 0.33]}
    if name == "sentiment-labelled":
        words = TfidfVectorizer(sublinear_tf=True)
        yield "linear", make_pipeline(words, LogisticRegression(max_iter=2000)), {
            "tfidfvectorizer__ngram_range": [(1, 1), (1, 2)], "tfidfvectorizer__min_df": [1, 2],
            "logisticregression__C": [0.3, 1, 3, 10, 30]}
        return
    if name == "fashion-mnist":
        yield "linear", LogisticRegression(max_iter=200), {"C": [0.01, 0.1]}
        yield "forest", RandomForestClassifier(200, random_state=SEED), {"max_features": ["sqrt"]}
        yield "network", MLPClassifier((256, 128), early_stopping=True, max_iter=40, random_state=SEED), {"alpha": [1e-4]}
        return
    if name in REGRESSION:
        linear, forest, boosted = Ridge(), RandomForestRegressor(200, random_state=SEED), boosting(XGBRegressor)
        penalty = {"alpha": [0.01, 0.1, 1, 10, 30, 100, 300]}
    else:
        linear, forest = LogisticRegression(max_iter=5000), RandomForestClassifier(200, random_state=SEED)
        boosted = boosting(XGBClassifier)
        penalty = {"C": [0.003, 0.01, 0.03, 0.1, 0.3, 1, 10]}
    kinds = [("linear", linear, penalty), ("boosting", boosted, grow)] + ([("forest", forest, bag)] if rows <= MANY else [])
    for kind, model, grid in kinds:
        step = type(model).__name__.lower()
        yield kind, make_pipeline(prepared(numbers, columns, kind == "linear"), model), {f"{step}__{k}": v for k, v in grid.items()}


def metrics(name, model, x, y):
    guess = model.predict(x)
    if name in REGRESSION:
        return {"R2": r2_score(y, guess), "RMSE": root_mean_squared_error(y, guess)}
    found = {"accuracy": accuracy_score(y, guess)}
    if max(y) == 1:
        found["AUC"] = roc_auc_score(y, model.predict_proba(x)[:, 1])
    return found


def measure(name, folder):
    if name == "fashion-mnist":
        (train, known), (test, truth) = read_images(folder + "/train.csv"), read_images(folder + "/test.csv")
        numbers, columns = train.shape[1], train.shape[1]
    else:
        (names, train, known), (_, test, truth) = read(folder + "/train.csv"), read(folder + "/test.csv")
        columns = len(names)
        if name == "sentiment-labelled":
            train, test, numbers = [row[0] for row in train], [row[0] for row in test], 0
        else:
            train, test, numbers = as_columns(train, test)
    count = 3 if len(known) > MANY else 5
    if name in REGRESSION:
        known, truth = numpy.array(known, float), numpy.array(truth, float)
        folds, scoring = KFold(count, shuffle=True, random_state=SEED), "r2"
    else:
        coder = LabelEncoder().fit(known)
        known, truth = coder.transform(known), coder.transform(truth)
        folds = StratifiedKFold(count, shuffle=True, random_state=SEED)
        scoring = "roc_auc" if name in UNBALANCED else "accuracy"
    models = []
    for kind, estimator, grid in candidates(name, numbers, columns, len(known)):
        start = time.time()
        search = GridSearchCV(estimator, grid, cv=folds, scoring=scoring, n_jobs=CORES).fit(train, known)
        last = search.best_estimator_[-1] if hasattr(search.best_estimator_, "steps") else search.best_estimator_
        models.append({
            "kind": kind, "model": type(last).__name__,
            "parameters": {k.split("__")[-1]: v for k, v in search.best_params_.items()},
            "validation": round(float(search.best_score_), 6),
            "metrics": {k: round(float(v), 6) for k, v in metrics(name, search.best_estimator_, test, truth).items()},
        })
        print(name, models[-1], f"{time.time() - start:.0f} s", flush=True)
    return {"train_sha256": sha256(folder + "/train.csv"), "test_sha256": sha256(folder + "/test.csv"),
            "train_rows": len(known), "test_rows": len(truth), "models": models}


def main(folder, path):
    versions = {"numpy": numpy.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "xgboost": xgboost.__version__}
    result = {"seed": SEED, "versions": versions, "sets": {}}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
        if before["versions"] == versions and before["seed"] == SEED:
            result = before
    divisions = [(number, name) for name in os.listdir(folder) for number in os.listdir(os.path.join(folder, name))]
    for number, name in sorted(divisions):
        split = os.path.join(folder, name, number)
        measured = result["sets"].setdefault(name, {})
        old = measured.get(number)
        if old and (old["train_sha256"], old["test_sha256"]) == (sha256(split + "/train.csv"), sha256(split + "/test.csv")):
            continue
        measured[number] = measure(name, split)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1, sort_keys=True)
            file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
