// accumulator + the exact sum of K products in two's complement, saturating or wrapping once.
module int_dot #(
    parameter K = 4,
    parameter WA = 8,
    parameter WB = 8,
    parameter W = 32,
    parameter SATURATE = 1
) (
    input [K*WA-1:0] a,
    input [K*WB-1:0] b,
    input signed [W-1:0] accumulator,
    output [W-1:0] sum
);
    localparam S = WA + WB + $clog2(K);  // the sum of the products
    localparam T = (W > S ? W : S) + 1;
    wire [K*(WA+WB)-1:0] products;
    genvar k;
    generate
        for (k = 0; k < K; k = k + 1) begin : lane
            wire signed [WA-1:0] x = a[k*WA+:WA];
            wire signed [WB-1:0] y = b[k*WB+:WB];
            wire signed [WA+WB-1:0] product = x * y;
            assign products[k*(WA+WB)+:WA+WB] = product;
        end
    endgenerate
    wire signed [S-1:0] dot;
    signed_sum #(.K(K), .W(WA + WB), .S(S)) add (.terms(products), .sum(dot));
    wire signed [T-1:0] total = accumulator + dot;
    fixed_fit #(.IN(T), .OUT(W), .SATURATE(SATURATE)) fit (.x(total), .y(sum));
endmodule
