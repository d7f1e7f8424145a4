# Means and deviations of the measurements of three species of iris, and a picture of them.
results <- Sys.getenv("MAYFLY_RESULTS")
iris <- read.csv("../log-reg-iris/iris.csv")

long <- stack(iris[1:4])
long$species <- rep(iris$species, 4)
table <- aggregate(values ~ species + ind, long, function(x) c(mean = mean(x), sd = sd(x), n = length(x)))
table <- data.frame(species = table$species, measure = table$ind, table$values)
table <- table[order(table$species, table$measure), ]
write.csv(table, file.path(results, "measures.csv"), row.names = FALSE)

# PDF needs no display.
pdf(file.path(results, "petals.pdf"), width = 6, height = 5)
plot(iris$petal_length, iris$petal_width, col = factor(iris$species), pch = 19, xlab = "length (cm)", ylab = "width (cm)")
invisible(dev.off())

cat(sprintf("%d flowers of %d species\n", nrow(iris), length(unique(iris$species))))
