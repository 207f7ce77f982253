-- Run once, by the postgres image, when the data volume is empty. The health check asks for the last one.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
CREATE DATABASE optuna;
